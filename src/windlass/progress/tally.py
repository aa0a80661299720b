"""Adds up events: how much is done, how fast, how much time is left. Pure: the caller passes the
time.

Progress is based on the plan's forecast, in worker-seconds per step, corrected by the pace so far:
of the whole run at first, of each step once it has done enough. A flow without a forecast is
weighted by the cost of its steps' items.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from windlass.model.event import (
    BytesCopied,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    StepFinished,
    StepStarted,
)

RATE_WINDOW_SECONDS = 8.0
SAMPLE_SECONDS = 0.25
# An item's bytes on the wire only approximate its size on disk: an item in flight is never counted
# as done.
NEARLY = 0.99
MB = 1 << 20
LEAST_SECONDS = 1.0  # before that no time left is shown
# With a forecast, from when the run's pace is a better guide than the forecast.
FORECAST_SECONDS = 2.0
FORECAST_SHARE = 0.05
# The weight of the forecast against the measured pace: for the whole run, and for each step.
TRUST = 0.03
STEP_TRUST = 0.15
WORKERS_SECONDS = 1.0  # how long the forecast's number of busy workers is used
SLOWLY = 0.3  # of the pace at which it would be full in time
ON_TIME = 0.8  # of its expected time, from where the progress of an item without bytes slows down


@dataclass(slots=True)
class Flight:
    """An item in flight."""

    step: str
    item: str
    group: str
    cost: int
    started_at: float
    size_bytes: int = 0


@dataclass(slots=True)
class StepTally:
    name: str
    items: int
    cost: int
    done: int = 0
    done_cost: int = 0
    spent_seconds: float = 0.0  # by this process, over all workers
    spent_cost: int = 0  # the cost that was done in those seconds
    seconds: float | None = None  # once it is finished

    def cost_of(self, cost: int) -> int:
        """Items of a step without costs count equally."""
        return cost if self.cost else 1

    @property
    def all_cost(self) -> int:
        return self.cost or self.items


@dataclass(slots=True)
class GroupTally:
    """A relation, or a batch of small ones, and how much is copied."""

    name: str
    size_bytes: int
    relations: int = 1
    loads: int = 1
    done_loads: int = 0
    done_cost: int = 0
    rows: int = 0
    moved_bytes: int = 0  # committed, as they were on the wire

    @property
    def copied(self) -> bool:
        return self.done_loads >= self.loads


@dataclass(slots=True)
class Tally:
    """The state of a run, from its events so far."""

    planned: FlowPlanned | None = None
    groups: dict[str, GroupTally] = field(default_factory=dict)
    steps: dict[str, StepTally] = field(default_factory=dict)
    flights: dict[tuple[str, str], Flight] = field(default_factory=dict)
    rows: int = 0
    moved_bytes: int = 0  # committed, by this run or an earlier process of it
    relations_copied: int = 0
    retries: int = 0
    started_at: float | None = None
    planned_at: float | None = None
    first_item_at: float | None = None
    _streamed_bytes: int = 0  # by this process, including what was lost again: for the rate
    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _shown: float = 0.0
    _shown_at: float | None = None

    def add(self, event: Event, now: float) -> None:
        """Add an event. Constant time: there may be thousands per second."""
        if self.started_at is None:
            self.started_at = now
        match event:
            case FlowPlanned():
                self.planned_at = now
                self._plan(event)
            case StepStarted():
                if event.step in self.steps:  # a new pass, which reports finished items again
                    self._begin_again()
                self.steps[event.step] = StepTally(event.step, event.items, event.cost)
            case StepFinished():
                self._step(event.step).seconds = event.seconds
            case ItemStarted():
                self._start(event, now)
            case BytesCopied():
                self._stream(event, now)
            case ItemFinished():
                self._finish(event, now)
            case ItemRetried():
                self.retries += 1
                if flight := self.flights.get((event.step, event.item)):
                    flight.size_bytes, flight.started_at = 0, now
            case _:
                pass

    def _begin_again(self) -> None:
        self.steps, self.flights = {}, {}
        self.rows = self.moved_bytes = self.relations_copied = 0
        self.first_item_at = None
        if self.planned:
            self._plan(self.planned)

    def _plan(self, event: FlowPlanned) -> None:
        self.planned, self.groups = event, {}
        self._shown, self._shown_at = 0.0, None
        for name, size in event.sizes_bytes.items():
            self.groups[name] = GroupTally(
                name,
                size,
                event.relations.get(name, 1),
                event.loads.get(name, 1),
            )

    def _start(self, event: ItemStarted, now: float) -> None:
        if self.first_item_at is None:
            self.first_item_at = now
        cost = self._step(event.step).cost_of(event.cost)
        flight = Flight(event.step, event.item, event.group, cost, now)
        self.flights[event.step, event.item] = flight

    def _stream(self, event: BytesCopied, now: float) -> None:
        for step in self.copy_steps:
            if flight := self.flights.get((step, event.item)):
                flight.size_bytes += event.size_bytes
        self._streamed_bytes += event.size_bytes
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, self._streamed_bytes))
            while now - self._samples[0][0] > RATE_WINDOW_SECONDS:
                self._samples.popleft()

    def _finish(self, event: ItemFinished, now: float) -> None:
        step = self._step(event.step)
        flight = self.flights.pop((event.step, event.item), None)
        cost = step.cost_of(event.cost or (flight.cost if flight else 0))
        step.done += 1
        step.done_cost += cost
        if not event.resumed:
            step.spent_seconds += event.seconds
            step.spent_cost += cost
        if event.step in self.copy_steps:
            self._commit(event, flight, cost, now)

    def _commit(self, event: ItemFinished, flight: Flight | None, cost: int, now: float) -> None:
        self.rows += event.rows
        self.moved_bytes += event.size_bytes
        unseen = event.size_bytes - (flight.size_bytes if flight else 0)
        if unseen > 0 and not event.resumed:
            self._stream(BytesCopied("", "", unseen), now)
        if (group := self.groups.get(event.group)) is None:
            return
        group.rows += event.rows
        group.moved_bytes += event.size_bytes
        group.done_cost += cost
        group.done_loads += 1
        if group.done_loads == group.loads:
            self.relations_copied += group.relations

    def _step(self, name: str) -> StepTally:
        return self.steps.setdefault(name, StepTally(name, 0, 0))

    @property
    def copy_steps(self) -> tuple[str, ...]:
        return self.planned.copy_steps if self.planned else ()

    @property
    def _copying(self) -> list[StepTally]:
        return [self.steps[name] for name in self.copy_steps if name in self.steps]

    @property
    def relations(self) -> int:
        return sum(group.relations for group in self.groups.values())

    @property
    def size_bytes(self) -> int:
        """The planned size of everything to be copied: on disk, not on the wire."""
        return sum(group.size_bytes for group in self.groups.values())

    @property
    def running_steps(self) -> list[StepTally]:
        return [step for step in self.steps.values() if step.seconds is None]

    @property
    def phases(self) -> list[str]:
        """Names of the steps with items in flight, in order; otherwise of the running steps."""
        busy = {flight.step for flight in self.flights.values()}
        return [step.name for step in self.running_steps if not busy or step.name in busy]

    def done_bytes(self) -> float:
        """The done part of `size_bytes`: committed items, and items in flight by their share on the
        wire."""
        parts: dict[str, float] = {}
        for flight in self._copies():
            parts[flight.group] = parts.get(flight.group, 0.0) + self._part(flight) * flight.cost
        return sum(
            group.size_bytes * self._fraction_of(group, parts.get(group.name, 0.0))
            for group in self.groups.values()
        )

    def group_fraction(self, group: GroupTally) -> float:
        """How much of a group is copied, 0 to 1."""
        flights = [flight for flight in self._copies() if flight.group == group.name]
        return self._fraction_of(group, sum(self._part(f) * f.cost for f in flights))

    def _fraction_of(self, group: GroupTally, flying: float) -> float:
        if group.copied:
            return 1.0
        by_size = any(step.cost for step in self._copying)
        whole = max(group.size_bytes, group.done_cost, 1) if by_size else group.loads
        return min((group.done_cost + flying) / whole, NEARLY)

    def bytes_per_second(self, now: float) -> float:
        """The rate over the last seconds."""
        if not self._samples:
            return 0.0
        at, streamed = self._samples[0]
        if now - self._samples[-1][0] > RATE_WINDOW_SECONDS or now - at < SAMPLE_SECONDS:
            return 0.0
        return (self._streamed_bytes - streamed) / (now - at)

    def rows_per_second(self, now: float) -> float:
        return self.bytes_per_second(now) * self.rows / self.moved_bytes if self.moved_bytes else 0

    def seconds_left(self, now: float) -> float | None:
        """None while there is no basis for an estimate: before the plan is known, and in the first
        seconds."""
        if self.planned is None:
            return None
        elapsed = now - self.first_item_at if self.first_item_at is not None else 0.0
        outlook = Outlook.of(self, now)
        if outlook is None or elapsed < LEAST_SECONDS or outlook.left_seconds <= 0:
            return None
        has_forecast = bool(self.planned and self.planned.forecast)
        if has_forecast and (elapsed < FORECAST_SECONDS or outlook.fraction < FORECAST_SHARE):
            return None
        return outlook.left_seconds

    def fraction(self, now: float) -> float:
        """The elapsed part of the whole run's time, 0 to 1. Never decreases: if it was
        overestimated, it advances slowly until it is right again."""
        if self.planned and (outlook := Outlook.of(self, now)):
            self._shown = max(self._advanced(outlook, now), min(outlook.fraction, NEARLY))
        if self._is_over():
            self._shown = 1.0
        self._shown_at = now
        return self._shown

    def _advanced(self, outlook: Outlook, now: float) -> float:
        passed = max(now - self._shown_at, 0.0) if self._shown_at is not None else 0.0
        if not passed or self._shown >= NEARLY:
            return self._shown
        share = SLOWLY * passed / (passed + outlook.left_seconds)
        return min(self._shown + (1 - self._shown) * share, NEARLY)

    def _is_over(self) -> bool:
        if not self.planned or not self.steps or self.running_steps:
            return False
        return all(name in self.steps for name in self.forecast)

    @property
    def forecast(self) -> Mapping[str, float]:
        """Worker-seconds per step, from the plan; otherwise the costs of the started steps. Without
        any costs, steps count equally, also those to come."""
        if self.planned and self.planned.forecast:
            return self.planned.forecast
        if any(step.cost for step in self.steps.values()):
            return {step.name: step.cost / MB for step in self.steps.values() if step.cost}
        to_come = dict.fromkeys(self.planned.steps if self.planned else (), 1.0)
        return {**to_come, **{step.name: float(step.items) for step in self.steps.values()}}

    def part_of(self, flight: Flight, expected_seconds: float, now: float) -> float:
        """The done part of an item in flight: of a copy by bytes, of others by time."""
        if flight.step in self.copy_steps or not expected_seconds:
            return self._part(flight)
        share = (now - flight.started_at) / expected_seconds
        if share <= ON_TIME:
            return share
        return 1 - (1 - ON_TIME) * math.exp((ON_TIME - share) / (1 - ON_TIME))

    def _part(self, flight: Flight) -> float:
        """The done part of an item in flight, which only copies report."""
        if not flight.size_bytes or not flight.cost:
            return 0.0
        done_cost = sum(step.done_cost for step in self._copying)
        wire_per_cost = self.moved_bytes / done_cost if done_cost and self.moved_bytes else 1.0
        return min(flight.size_bytes / (flight.cost * wire_per_cost), NEARLY)

    def flights_of(self, step: str) -> list[Flight]:
        return [flight for flight in self.flights.values() if flight.step == step]

    def _copies(self) -> list[Flight]:
        return [flight for flight in self.flights.values() if flight.step in self.copy_steps]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The remaining time of a run, and the elapsed part of its time."""

    fraction: float
    left_seconds: float

    @classmethod
    def of(cls, tally: Tally, now: float) -> Outlook | None:
        """None until some work is done."""
        forecast = tally.forecast
        total = sum(forecast.values())
        if not total or tally.first_item_at is None:
            return None
        shares = [_Share.of(tally, name, weight, now) for name, weight in forecast.items()]
        trust = TRUST * total if tally.planned and tally.planned.forecast else 0.0
        paid = sum(share.paid for share in shares)
        spent = sum(share.spent for share in shares)
        if not paid + trust:
            return None
        pace = (spent + trust) / (paid + trust)
        alone = tally.planned.alone if tally.planned else ()
        left = {share.name: share.left * share.pace(pace) for share in shares}
        left_alone = sum(spent for name, spent in left.items() if name in alone)
        kept = sum(share.kept * share.pace(pace) for share in shares)
        # the plan does not forecast the time before it
        begun_at = max(tally.first_item_at, tally.planned_at or tally.first_item_at)
        elapsed = max(now - begun_at, 0.0)
        busy = sum(tally.steps[name].spent_seconds for name in forecast if name in tally.steps)
        busy += sum(now - one.started_at for one in tally.flights.values() if one.step in forecast)
        planned = tally.planned.workers if tally.planned and tally.planned.forecast else 1.0
        known = WORKERS_SECONDS if trust else 0.0
        workers = (busy + planned * known) / (elapsed + known) if elapsed + known else 1.0
        workers = max(min(workers, sum(share.items_left for share in shares)), 1.0)
        left_seconds = left_alone + (sum(left.values()) - left_alone) / workers
        over = elapsed + kept / workers
        if not paid + kept:
            over = 0.0 if not trust else over
        return cls(over / (over + left_seconds) if over + left_seconds else 0.0, left_seconds)


@dataclass(frozen=True, slots=True)
class _Share:
    """A step's share of the forecast, in worker-seconds."""

    name: str
    weight: float
    paid: float  # done by this process, which took it `spent` seconds
    spent: float
    kept: float  # done by an earlier process
    left: float
    items_left: int

    def pace(self, of_all: float) -> float:
        """Actual seconds per forecast second: the step's own pace, as far as it is known."""
        trust = STEP_TRUST * self.weight
        return (self.spent + of_all * trust) / (self.paid + trust) if self.weight else of_all

    @classmethod
    def of(cls, tally: Tally, name: str, weight: float, now: float) -> _Share:
        step = tally.steps.get(name)
        if step is None:
            return cls(name, weight, 0.0, 0.0, 0.0, weight, 1)
        per_cost = weight / step.all_cost if step.all_cost else 0.0
        paid, spent = per_cost * step.spent_cost, step.spent_seconds
        pace = spent / paid if paid else 1.0
        for flight in tally.flights_of(name):
            part = tally.part_of(flight, per_cost * flight.cost * pace, now)
            paid += per_cost * flight.cost * part
            spent += now - flight.started_at if part else 0.0
        kept = per_cost * (step.done_cost - step.spent_cost)
        over = step.seconds is not None
        return cls(
            name=name,
            weight=weight,
            paid=paid,
            spent=spent,
            kept=kept,
            left=0.0 if over else max(weight - paid - kept, 0.0),
            items_left=max(step.items - step.done, 0),
        )
