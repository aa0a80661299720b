"""What an engine must provide for its files to be targets of loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from windlass.engines.base import Facts
from windlass.engines.embedded.dialect import Dialect, Session
from windlass.engines.landing import Input
from windlass.model.load import Load, Staged, Table
from windlass.model.relation import Name
from windlass.model.report import Problem

Result = TypeVar("Result")


class File(Protocol):
    """A database that is a file. Its methods may be called by several threads at once."""

    place: str  # for people
    path: str
    schema: str  # where a table without a schema is
    facts: Facts
    dialect: Dialect

    @property
    def is_there(self) -> bool: ...

    def reading(self, doing: str, staged: Path | None = None) -> AbstractContextManager[Session]:
        """A session, with a file of staged rows if one is given."""

    def writing(self, doing: str, staged: Path | None = None) -> AbstractContextManager[Session]:
        """A session in a transaction: while it is open, no other process can change the file.
        It is committed at the end, and rolled back by an error.

        Raises:
            ConnectionLost: another process has the file locked; retryable.
        """

    def with_memory(self, call: Callable[[], Result], *, adds: bool = False) -> Result:
        """The result of a call that works in a transaction. The call may be repeated with more
        memory; a call that only `adds` rows needs little."""

    def describe(self, session: Session, name: Name) -> Table | None:
        """A table and what is wrong with it."""

    def stage(self, staged: Path, load: Load, number: int, source: Input) -> Staged:
        """Copy an input into the file of staged rows, or do nothing if it is there.

        Raises:
            BadRecord: more records are bad than allowed.
        """

    def problems(self, session: Session, load: Load) -> Sequence[Problem]:
        """What is wrong with a load that only the engine knows."""

    def working(self, run: str) -> AbstractContextManager[None]: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...
