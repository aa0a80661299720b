"""What the contexts of a migration into another engine, and of its comparison, have in common: the
two sides, and one process that reads the source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Self

from windlass.flows.convert.pair import open_pair
from windlass.model.conversion import ConversionPlan
from windlass.model.event import Emit
from windlass.model.load import LoadRun
from windlass.model.outcome import State
from windlass.model.report import Difference
from windlass.run.story import Reporting, Story
from windlass.spec.migrate import Spec


class ConvertSides(Reporting):
    """Use as a context manager: leaving it closes both sides."""

    def __init__(self, spec: Spec, emit: Emit) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        self.spec = spec
        self.source, self.target = open_pair(spec)
        self.story = Story(emit)
        self.show_values = False
        self.on_difference: Callable[[Difference], None] | None = None
        self.at: LoadRun | None = None  # in the journal; a comparison has no run there
        self.ended: State | None = None
        self._plan: ConversionPlan | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.target)
        self._stack.callback(self.source.close)
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.close()

    @property
    def plan(self) -> ConversionPlan:
        assert self._plan is not None, "nothing is planned"
        return self._plan

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()

    def noticing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def leave(self) -> None:
        """A worker thread holds nothing between items."""

    def keep(self) -> None:
        self.source.check()

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        return {}
