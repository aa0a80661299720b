"""What a flow's context has to be for its steps to run in separate processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from windlass.model.event import Event
from windlass.model.flow import Result
from windlass.run.local import Workplace


class Context(Workplace, Protocol):
    """Made of a spec, a callable for events and two keywords: `caller`, the scheduler's name for
    its run, and `patient`, whether servers that cannot be reached are waited for.

    Leaving it closes what it has opened.
    """

    results: Mapping[str, dict[str, Result]]  # by step and item; filled with what a step `reads`

    def emit(self, event: Event) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: Any) -> None: ...


class Held(Context, Protocol):
    """The context of a flow with a lasting step."""

    def keep(self) -> None:
        """Called now and then while the lasting step lasts.

        Raises:
            ConnectionLost: what it holds is lost.
        """

    def watching(self) -> AbstractContextManager[None]:
        """While it lasts, who keeps a session of the run waiting is reported, whatever process that
        session is in."""

    def join(self, ticket: Result) -> None:
        """Work in the run that another process holds; `ticket` is the lasting step's result.

        Raises:
            RunLost: no process holds it now.
        """

    def stand_in(self, ticket: Result) -> None:
        """Hold the run here meanwhile, as the process that held it has ended.

        Raises:
            RunLost: somebody else holds it now.
        """

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Items of these steps that were done, and have been lost since; by step."""
