"""Collects what a report needs of a run while it runs: who requested what, and how it progressed.

It watches the run's events. Its memory is bounded: a few numbers for each step, and at most
`MOST_INTERVALS` of throughput, which become longer as the run does.
"""

from __future__ import annotations

import os
import platform
import pwd
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any

from windlass.engines.names import name_of, role_of
from windlass.model.account import Account, Asked, By, StepSpan, Throughput, Timeline, Work
from windlass.model.event import BytesCopied, Emit, Event, ItemFinished, ItemRetried, ItemStarted
from windlass.model.flow import Flow
from windlass.model.outcome import A_COMMAND, Outcome, StartedBy
from windlass.version import __version__

MOST_INTERVALS = 120
FIRST_INTERVAL_SECONDS = 0.25


class Meter:
    """Throughput in intervals of equal length, which doubles each time there would be too many."""

    def __init__(self) -> None:
        self.every_seconds = FIRST_INTERVAL_SECONDS
        self._amounts: list[list[float]] = []  # pairs of bytes and rows

    def add(self, start: float, end: float, size_bytes: float = 0, rows: float = 0) -> None:
        """Spread an amount evenly over the time in which it came."""
        start, end = max(start, 0.0), max(end, 0.0)
        while end >= self.every_seconds * MOST_INTERVALS:
            self._lengthen()
        first, last = int(start / self.every_seconds), int(end / self.every_seconds)
        self._amounts += [[0.0, 0.0] for _ in range(last + 1 - len(self._amounts))]
        for at in range(first, last + 1):
            low, high = at * self.every_seconds, (at + 1) * self.every_seconds
            within = min(end, high) - max(start, low)
            share = within / (end - start) if end > start else 1.0
            self._amounts[at][0] += size_bytes * share
            self._amounts[at][1] += rows * share

    def _lengthen(self) -> None:
        pairs = [self._amounts[at : at + 2] for at in range(0, len(self._amounts), 2)]
        self._amounts = [[sum(one) for one in zip(*some, strict=True)] for some in pairs]
        self.every_seconds *= 2

    def read(self) -> Throughput:
        if not any(map(any, self._amounts)):
            return Throughput()
        size_bytes, rows = (_whole(one) for one in zip(*self._amounts, strict=True))
        return Throughput(self.every_seconds, size_bytes, rows)


def _whole(amounts: Iterable[float]) -> tuple[int, ...]:
    """Whole numbers with the same sum."""
    sums = [0, *map(round, accumulate(amounts))]
    return tuple(after - before for before, after in pairwise(sums))


@dataclass
class _Clock:
    """What is known of one step."""

    start: float
    end: float
    busy: float = 0.0
    open: int = 0  # items that are being worked on
    items: int = 0
    resumed: int = 0
    retries: int = 0
    rows: int = 0
    size_bytes: int = 0


def _span(name: str, after: tuple[str, ...], clock: _Clock) -> StepSpan:
    return StepSpan(
        name,
        after,
        start_seconds=round(clock.start, 3),
        seconds=round(clock.end - clock.start, 3),
        busy_seconds=round(clock.busy, 3),
        items=clock.items,
        resumed=clock.resumed,
        retries=clock.retries,
        rows=clock.rows,
        bytes=clock.size_bytes,
    )


@dataclass
class Accounting:
    """The account of one run in this process, over all its attempts."""

    flow: Flow[Any]
    asked: Asked
    by: By
    _began: float = field(default_factory=time.perf_counter)
    _started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clocks: dict[str, _Clock] = field(default_factory=dict)
    _meter: Meter = field(default_factory=Meter)
    _sent: dict[str, int] = field(default_factory=dict)  # bytes of items that are being copied
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, flow: Flow[Any], spec: Any, started_by: StartedBy | None = None) -> Accounting:
        scheduled = started_by or A_COMMAND
        by = replace(
            this_process(),
            **roles_of(spec),
            external_run=scheduled.external_run,
            external_url=scheduled.external_url,
        )
        return cls(flow, asked_of(flow, spec), by)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def watching(self, emit: Emit) -> Callable[[Event], None]:
        """Takes note of every event, and passes it on."""

        def pass_on(event: Event) -> None:
            with self._lock:
                self._note(event, self.seconds)
            emit(event)

        return pass_on

    def _note(self, event: Event, now: float) -> None:
        match event:
            case ItemStarted():
                self._clocks.setdefault(event.step, _Clock(now, now)).open += 1
            case ItemRetried():
                self._clocks.setdefault(event.step, _Clock(now, now)).retries += 1
            case BytesCopied():
                since = self._meter.every_seconds
                self._meter.add(max(now - since, 0.0), now, event.size_bytes)
                self._sent[event.item] = self._sent.get(event.item, 0) + event.size_bytes
            case ItemFinished():
                self._finish(event, now)

    def _finish(self, event: ItemFinished, now: float) -> None:
        clock = self._clocks.setdefault(event.step, _Clock(now, now))
        clock.items += 1
        if event.resumed:
            clock.resumed += 1
            return
        clock.end = now
        clock.open -= 1
        clock.busy += event.seconds
        clock.rows += event.rows
        clock.size_bytes += event.size_bytes
        rest = event.size_bytes - self._sent.pop(event.item, 0)
        if not self.flow.copies or event.step in self.flow.copies:
            self._meter.add(now - event.seconds, now, max(rest, 0), event.rows)

    def account(self) -> Account:
        """What is known now."""
        with self._lock:
            for clock in self._clocks.values():
                if clock.open > 0:  # one of its items has failed, or caused the end of the run
                    clock.end = max(clock.end, self.seconds)
            spans = [_span(name, self._after(name), one) for name, one in self._clocks.items()]
            throughput = self._meter.read()
        timeline = Timeline(utc_text(self._started_at), utc_text(), tuple(spans), throughput)
        return Account(self.asked, self.by, timeline)

    def _after(self, name: str) -> tuple[str, ...]:
        return next((step.after for step in self.flow.steps if step.name == name), ())

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with this account. Values that its flow knows better stay: roles that the
        servers reported, the plan's fingerprint, and work of other processes."""
        return replace(outcome, account=_joined(self.account(), outcome.account))


def _joined(here: Account, known: Account) -> Account:
    names = ("fingerprint", "reviewed_at", "approved_by")
    asked = {name: found for name in names if (found := getattr(known.asked, name))}
    roles = {
        name: found for name in ("source_role", "target_role") if (found := getattr(known.by, name))
    }
    timeline = known.timeline if known.timeline.steps else here.timeline
    return Account(
        replace(here.asked, **asked), replace(here.by, **roles), timeline, known.commands
    )


def timeline_of(
    flow: Flow[Any], work: Iterable[Work], started_at: str, finished_at: str = ""
) -> Timeline:
    """The same from the work of a run in a journal, whichever processes did it."""
    clocks: dict[str, _Clock] = {}
    meter = Meter()
    for one in sorted(work, key=lambda one: one.start_seconds):
        clock = clocks.setdefault(one.step, _Clock(one.start_seconds, one.end_seconds))
        clock.end = max(clock.end, one.end_seconds)
        clock.busy += one.end_seconds - one.start_seconds
        clock.items += 1
        clock.rows += one.rows
        clock.size_bytes += one.size_bytes
        if not flow.copies or one.step in flow.copies:
            meter.add(one.start_seconds, one.end_seconds, one.size_bytes, one.rows)
    after = {step.name: step.after for step in flow.steps}
    spans = [_span(name, after.get(name, ()), one) for name, one in clocks.items()]
    return Timeline(started_at, finished_at, tuple(spans), meter.read())


def utc_text(at: datetime | str | None = None) -> str:
    """A time as ``2026-11-30T06:18:00Z``: the current one, a given one, or one as PostgreSQL writes
    it."""
    if isinstance(at, str):
        if not at:
            return ""
        at = datetime.fromisoformat(at)
    return (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def asked_of(flow: Flow[Any], spec: Any) -> Asked:
    source, target = map(name_of, _sides(spec))
    return Asked(
        flow.name, flow.words.noun, flow.words.done, spec.asked(), source=source, target=target
    )


def _sides(spec: Any) -> tuple[str, str]:
    """The addresses of what is read and of what is written: the last one beside the source's."""
    sides = dict(spec.addresses)
    return sides.pop("source", ""), next(reversed(sides.values()), "")


def this_process() -> By:
    return By(
        user=_user(),
        host=socket.gethostname(),
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _user() -> str:
    """The effective user; its number if it has no name, as in many containers."""
    number = os.geteuid()
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def roles_of(spec: Any) -> dict[str, str]:
    """The roles that a spec's addresses name."""
    source, target = map(role_of, _sides(spec))
    return {"source_role": source, "target_role": target}
