"""What a landing needs of the journal. It is passed in, because engines import no journal;
`windlass.journal.loads` implements it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import psycopg

from windlass.model.flow import Result
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State

Session = psycopg.Connection[Any]
STAGE, SHAPE, APPLY = "stage_rows", "shape_rows", "apply_rows"  # steps of the journal's lines


class Line(Protocol):
    """What is finished; its note is what the work has returned."""

    @property
    def note(self) -> dict[str, Any] | None: ...


class Journal(Protocol):
    """One run's lines, in this process."""

    def __contains__(self, work: tuple[str, str]) -> bool: ...

    def lines(self, step: str) -> Mapping[str, Line]: ...

    def note(self, step: str, item: str = "") -> Result: ...

    def read(self, connection: Session) -> None: ...

    def once(
        self,
        connection: Session,
        step: str,
        item: str,
        work: Callable[[Session], Result],
        *,
        first: Sequence[str] = (),
    ) -> Result: ...

    def fenced(self, connection: Session, step: str, work: Callable[[Session], None]) -> None: ...

    def forget(self, connection: Session, steps: Iterable[str], items: Collection[str]) -> None: ...

    def end(self, connection: Session, state: State, outcome: Outcome) -> None: ...


Note = tuple[str, State, str, str, Mapping[str, Any]]  # run, its state, step, item, note


class Books(Protocol):
    """Every run of loads into a database."""

    def exists(self, connection: Session) -> bool: ...

    def create(self, connection: Session) -> None: ...

    def keep_private(self, connection: Session) -> None: ...

    def runs(self, connection: Session) -> Sequence[LoadRun]: ...

    def read(self, connection: Session, run: str) -> LoadRun | None: ...

    def insert(self, connection: Session, run: LoadRun, identity: str) -> None: ...

    def take_over(self, connection: Session, run: LoadRun) -> None: ...

    def open(
        self,
        connection: Session,
        run: str,
        begin: Callable[..., AbstractContextManager[Any]],
    ) -> Journal: ...

    def history(self, connection: Session, steps: Sequence[str]) -> Sequence[Note]:
        """Lines of these steps of all runs of loads, the earliest first."""

    def forget(self, connection: Session, run: str) -> None: ...

    def mark_undone(self, connection: Session, run: str) -> None: ...
