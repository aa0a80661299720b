"""Adds up events: how much is done, how fast, how long still. Pure: the caller brings the time.

The time left rests on what each step's items cost and took so far in this very run:
worker-seconds per unit of cost, times the cost that is left, over the workers seen busy.
"""

from __future__ import annotations

from collections import deque
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
# An item's bytes on the wire are only nearly its size on disk: in flight it is never all done.
NEARLY = 0.99


@dataclass(slots=True)
class Flight:
    """An item that runs now."""

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
    spent_cost: int = 0  # what those seconds paid for
    seconds: float | None = None  # once it is finished

    def cost_of(self, cost: int) -> int:
        """Where a step does not tell costs, its items are alike."""
        return cost if self.cost else 1

    @property
    def all_cost(self) -> int:
        return self.cost or self.items


@dataclass(slots=True)
class GroupTally:
    """A relation, or a batch of small ones, and how much of it is copied."""

    name: str
    size_bytes: int
    planned_rows: int
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
    """What is known of a run from its events so far."""

    planned: FlowPlanned | None = None
    groups: dict[str, GroupTally] = field(default_factory=dict)
    steps: dict[str, StepTally] = field(default_factory=dict)
    flights: dict[tuple[str, str], Flight] = field(default_factory=dict)
    rows: int = 0
    moved_bytes: int = 0  # committed, by this run or an earlier process of it
    relations_copied: int = 0
    retries: int = 0
    started_at: float | None = None
    first_item_at: float | None = None
    _streamed_bytes: int = 0  # by this process, also what was lost again: what the rate is of
    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _shown: float = 0.0

    def tell(self, event: Event, now: float) -> None:
        """Take an event in. Constant time: there may be thousands a second."""
        if self.started_at is None:
            self.started_at = now
        match event:
            case FlowPlanned():
                self._plan(event)
            case StepStarted():
                if event.step in self.steps:  # a new pass, which tells again what is done
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
        for name, size in event.sizes_bytes.items():
            self.groups[name] = GroupTally(
                name,
                size,
                event.rows.get(name, 0),
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
        """Of all that is to be copied, as planned: on disk, not on the wire."""
        return sum(group.size_bytes for group in self.groups.values())

    @property
    def running_steps(self) -> list[StepTally]:
        return [step for step in self.steps.values() if step.seconds is None]

    @property
    def phases(self) -> list[str]:
        """Names of the steps that have items in flight, in order; else of the steps that run."""
        busy = {flight.step for flight in self.flights.values()}
        return [step.name for step in self.running_steps if not busy or step.name in busy]

    def done_bytes(self) -> float:
        """Of `size_bytes`: what is committed, and what is in flight by its share on the wire."""
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

    def group_bytes(self, group: GroupTally) -> int:
        """On the wire so far, committed or not."""
        flying = sum(f.size_bytes for f in self._copies() if f.group == group.name)
        return group.moved_bytes + flying

    def bytes_per_second(self, now: float) -> float:
        """Over the last seconds."""
        if not self._samples:
            return 0.0
        at, streamed = self._samples[0]
        if now - self._samples[-1][0] > RATE_WINDOW_SECONDS or now - at < SAMPLE_SECONDS:
            return 0.0
        return (self._streamed_bytes - streamed) / (now - at)

    def rows_per_second(self, now: float) -> float:
        return self.bytes_per_second(now) * self.rows / self.moved_bytes if self.moved_bytes else 0

    def seconds_left(self, now: float) -> float | None:
        """None while there is nothing to rest an estimate on."""
        work = self._work(now)
        elapsed = now - self.first_item_at if self.first_item_at is not None else 0.0
        if work is None or elapsed < 1.0 or work[1] <= 0:
            return None
        busy = sum(step.spent_seconds for step in self.steps.values())
        busy += sum(now - flight.started_at for flight in self.flights.values())
        return work[1] / max(busy / elapsed, 1.0)

    def fraction(self, now: float) -> float:
        """How much of all the work is done, 0 to 1. Never goes back."""
        if work := self._work(now):
            done, left = work
            self._shown = max(self._shown, min(done / (done + left), NEARLY) if done else 0.0)
        if self.steps and not self.running_steps:
            self._shown = 1.0
        return self._shown

    def _work(self, now: float) -> tuple[float, float] | None:
        """Worker-seconds done and left, over the steps that have started; None: not known yet.

        Steps whose items have no cost are short, and only tell what they took.
        """
        prices = {step.name: self._price(step, now) for step in self.steps.values() if step.cost}
        known = max((price for price in prices.values() if price), default=None)
        if prices and known is None:
            return None
        done = left = 0.0
        for step in self.steps.values():
            if not step.cost and len(prices):
                done += step.spent_seconds
                continue
            # nothing of it done yet: as dear as the dearest
            price = prices.get(step.name) or self._price(step, now) or known or 0.0
            parts = sum(self._part(f) * f.cost for f in self._flights_of(step.name))
            done += price * (step.done_cost + parts)
            if step.seconds is None:
                left += price * max(step.all_cost - step.done_cost - parts, 0)
        return done, left

    def _price(self, step: StepTally, now: float) -> float | None:
        """Worker-seconds per unit of cost, as this run has seen it."""
        seconds, cost = step.spent_seconds, float(step.spent_cost)
        for flight in self._flights_of(step.name):
            if part := self._part(flight):
                seconds += now - flight.started_at
                cost += part * flight.cost
        return seconds / cost if cost else None

    def _part(self, flight: Flight) -> float:
        """How much of an item in flight is done; only copies tell."""
        if not flight.size_bytes or not flight.cost:
            return 0.0
        done_cost = sum(step.done_cost for step in self._copying)
        wire_per_cost = self.moved_bytes / done_cost if done_cost and self.moved_bytes else 1.0
        return min(flight.size_bytes / (flight.cost * wire_per_cost), NEARLY)

    def _flights_of(self, step: str) -> list[Flight]:
        return [flight for flight in self.flights.values() if flight.step == step]

    def _copies(self) -> list[Flight]:
        return [flight for flight in self.flights.values() if flight.step in self.copy_steps]
