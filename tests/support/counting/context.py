"""What the steps of a count run in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

from counting.spec import CountSpec
from windlass.errors import WindlassError
from windlass.model.event import Emit, Event
from windlass.model.flow import Handover, Item, Result
from windlass.model.outcome import NO_REASON, Outcome, Reason, State, Totals
from windlass.model.report import Problem
from windlass.run.accounting import Accounting


class Counting:
    undone: Sequence[Problem] = ()
    run_id = "count"

    def __init__(self, spec: CountSpec, emit: Emit, *, patient: bool = False) -> None:
        self.path, self._emit = Path(spec.text_file), emit
        self.steps: tuple[str, ...] = ()
        self.notices: list[str] = []
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)
        self.has_begun = False
        self.ended: State | None = None
        self.accounting: Accounting | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None: ...

    def emit(self, event: Event) -> None:
        self._emit(event)

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()

    def conclude(self) -> None:
        """Nothing is left to report."""

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        counts = {"counted": self.results["count_lines"].get("", {}).get("lines", 0)}
        return Outcome("count", state, reason=reason, totals=Totals(counts=counts))

    def end(self, state: State, outcome: Outcome) -> None:
        self.ended = state

    def hand_over(self) -> Handover:
        return Handover()

    def finished(self, step: str) -> Mapping[str, Result]:
        return {}

    def collect(self, step: str, item: Item, result: Result) -> None:
        self.results[step][item.id] = result

    def recover(self, error: WindlassError) -> None: ...

    def cancel(self) -> None: ...

    def leave(self) -> None: ...
