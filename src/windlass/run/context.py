"""What a flow's context must provide so that its steps can run in separate processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from windlass.model.event import Event
from windlass.model.flow import Result
from windlass.run.accounting import Accounting
from windlass.run.local import Workplace


class Context(Workplace, Protocol):
    """Created with a spec, a callable for events and two keyword arguments: `started_by`, the
    scheduler's run (`windlass.model.outcome.StartedBy`), and `patient`, whether to wait for servers
    that cannot be reached.

    Leaving it closes what it has opened.
    """

    # by step and item; has the results that a step `reads`
    results: Mapping[str, dict[str, Result]]
    accounting: Accounting | None  # for its outcomes

    def emit(self, event: Event) -> None: ...

    def conclude(self) -> None:
        """Called once all steps are done.

        Raises:
            Different: the run did not do all that was asked for.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: Any) -> None: ...


class Held(Context, Protocol):
    """The context of a flow with a lasting step."""

    def keep(self) -> None:
        """Called at intervals while the lasting step runs.

        Raises:
            ConnectionLost: what it holds is lost.
        """

    def watching(self) -> AbstractContextManager[None]:
        """Report who blocks a session of the run, whichever process that session is in."""

    def noticing(self) -> AbstractContextManager[None]:
        """Like `watching`, in a process that has joined the run: its own log also shows what it
        waits for."""

    def join(self, handle: Result) -> None:
        """Work in the run that another process holds; `handle` is the lasting step's result.

        Raises:
            RunLost: no process holds it now.
        """

    def stand_in(self, handle: Result) -> None:
        """Hold the run here, because the process that held it has ended.

        Raises:
            RunLost: another process holds it now.
        """

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Items of these steps that were done but have been lost since, by step."""
