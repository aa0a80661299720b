"""What a step that changes the target needs: the plan, its divided statements, and the journal that
makes each piece of work run once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.sessions import Sessions
from windlass.flows.migrate.portions import Portion
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.event import Event
from windlass.model.flow import Result
from windlass.model.plan import Plan
from windlass.model.snapshot import Snapshot
from windlass.spec.migrate import Spec


class Work(Protocol):
    """The part of a migration's context that its working steps use."""

    @property
    def spec(self) -> Spec: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def portions(self) -> Mapping[str, Sequence[Portion]]:
        """Of the plan's statements, by step."""

    @property
    def snapshot(self) -> Snapshot:
        """The one that all rows are read in."""

    @property
    def journal(self) -> Journal: ...

    def sessions(self) -> Sessions:
        """This thread's own."""

    def emit(self, event: Event) -> None: ...

    def once(self, step: str, item: str, work: Callable[[Connection], Result]) -> Result:
        """Do a piece of work and journal it, in one target transaction; nothing if it is done."""

    def lines(self, step: str) -> Mapping[str, Line]:
        """A step's finished items, as far as this process knows."""
