"""A run's story: its events, and the parts of them that belong in its outcome."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from windlass.model.event import Emit, Event, ItemFinished, ItemStarted, Noticed, ignore
from windlass.model.flow import ONE, Item, Result
from windlass.model.outcome import Outcome
from windlass.model.report import Difference
from windlass.run.accounting import Accounting


class Story:
    """The story of one process; results of steps may come from other processes."""

    def __init__(self, emit: Emit = ignore) -> None:
        self.steps: tuple[str, ...] = ()  # the steps of the flow that runs, for a display
        self.notices: list[str] = []
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)  # by step and item
        self._emit = emit
        self._clock: dict[str, tuple[float, float]] = {}  # when each step began, and was last busy
        self._started = time.perf_counter()
        self.accounting: Accounting | None = None
        self.is_shared = False  # other processes have done, or are doing, a part of the run

    def began(self, seconds_ago: float) -> None:
        """Note that the run began before this process joined it."""
        self._started = time.perf_counter() - seconds_ago
        self.is_shared = True

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def emit(self, event: Event) -> None:
        """Pass an event on, and note the time of every step and every notice."""
        now = self.seconds
        match event:
            case ItemStarted() | ItemFinished(resumed=False):
                first, last = self._clock.get(event.step, (now, now))
                self._clock[event.step] = (first, now if isinstance(event, ItemFinished) else last)
            case Noticed():
                self.notices.append(event.message)
        self._emit(event)

    def show(self, messages: Iterable[str]) -> None:
        """Show now what the outcome has elsewhere, and not as notices."""
        for message in messages:
            self._emit(Noticed(message))

    def collect(self, step: str, item: Item, result: Result) -> None:
        """Keep a result for later steps and for the outcome."""
        self.results[step][item.id] = result

    def result(self, step: str) -> Result:
        """The result of a step without items; empty if this process does not know it."""
        return self.results[step].get(ONE.id, {})

    @property
    def differences(self) -> list[Difference]:
        """The differences that the steps have found so far."""
        return [Difference.from_json(one) for one in self._reported("differences")]

    def _reported(self, what: str) -> Iterator[Any]:
        for results in self.results.values():
            for result in results.values():
                yield from result.get(what, ())

    @property
    def phases(self) -> dict[str, float]:
        """Seconds of each step on which this process has worked."""
        return {step: last - first for step, (first, last) in self._clock.items()}

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with what all flows report: the run's duration, that of each step, and each
        notice once, whichever process emitted it."""
        if self.accounting:
            outcome = self.accounting.complete(outcome)
        noticed = (*outcome.notices, *self.notices, *self._reported("notices"))
        return replace(
            outcome,
            seconds=self.seconds,
            course=replace(outcome.course, phases=outcome.course.phases or self.phases),
            notices=tuple(dict.fromkeys(noticed)),
        )


class Reporting:
    """The part of a context that reports: what its steps, the runner and the shells use."""

    story: Story

    def emit(self, event: Event) -> None:
        self.story.emit(event)

    def collect(self, step: str, item: Item, result: Result) -> None:
        self.story.collect(step, item, result)

    def conclude(self) -> None:
        """Does nothing: once all steps are done, nothing is left to report, unless a flow overrides
        this."""

    def result(self, step: str) -> Result:
        return self.story.result(step)

    @property
    def results(self) -> dict[str, dict[str, Result]]:
        return self.story.results

    @property
    def notices(self) -> list[str]:
        return self.story.notices

    @property
    def accounting(self) -> Accounting | None:
        """What else a report needs; set by who runs the flow."""
        return self.story.accounting

    @accounting.setter
    def accounting(self, kept: Accounting) -> None:
        self.story.accounting = kept

    @property
    def steps(self) -> tuple[str, ...]:
        return self.story.steps

    @steps.setter
    def steps(self, names: tuple[str, ...]) -> None:
        self.story.steps = names
