"""Past runs: what undoing one would do or has done, and what ended runs left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

from windlass.errors import Refused
from windlass.model.logged import LogPart
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.wording import word


class Others(StrEnum):
    """What a rollback does about rows that others have changed or deleted since the run."""

    REFUSE = "refuse"  # nothing is undone
    SKIP = "skip"  # they stay as they are, and the rest is undone
    LOSE = "lose"  # they are undone too


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a rollback would do: ``drops 13 tables (5.9 M rows, 1.2 GB) and restores 3 objects``.
    `written` lists what was written since the run and would be lost; `blocked` what prevents
    undoing it at all."""

    summary: str
    written: Sequence[Problem] = ()
    blocked: Sequence[Problem] = ()

    def refuse(self, *, force: bool = False) -> None:
        """Raises:
        Refused: what was written since would be lost, without `force`.
        """
        if problems := [*self.blocked, *(() if force else self.written)]:
            raise Refused(problems)


def cannot_skip(run: str, flow: str) -> Refused:
    """For a flow whose runs are undone as a whole."""
    message = f"is of {flow}, which is undone as a whole: nothing can be left out"
    hint = f"roll back without {word('skip-changed')}"
    return Refused([Problem(f"run {run}", message, hint)])


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback did. `stayed` lists what is not as it was before the run, and why."""

    message: str
    stayed: Sequence[str] = ()
    already: bool = False  # by an earlier command; this one wrote nothing
    rows: int = 0  # that were restored in a new table


@dataclass(frozen=True, slots=True)
class Left:
    """What one run left. Without its journal it can be neither resumed nor rolled back. `state` is
    "" if the run is no longer in the journal."""

    run: str
    state: str
    finished_at: str
    schemas: tuple[str, ...]
    size_bytes: int
    renamed: tuple[tuple[str, str], ...] = ()  # objects outside any schema: kind and name
    large_objects: tuple[int, ...] = ()  # copies, by id
    backup: Name | None = None  # a rewrite's, a table
    files: int = 0  # an export's
    tables: tuple[Name, ...] = ()  # a load's: of before-images and of rows that were put aside


class Past(Protocol):
    """The past runs: those in a target's journal, or those that exports recorded. Use as a
    context manager."""

    def __enter__(self) -> Self:
        """Raises:
        WindlassError: it cannot be reached.
        """

    def __exit__(self, *fault: Any) -> None: ...

    def only_look(self) -> None:
        """Change nothing, not even the version of an older journal. Called before it is entered."""

    def statuses(self) -> list[RunStatus]:
        """Every run, the newest first."""

    def detail(self, run: str) -> RunDetail:
        """Raises:
        Refused: no such run is known.
        """

    def log(self, run: str, start: int, most: int, *, with_items: bool) -> LogPart:
        """Entries of a run's log, the newest first. `with_items`: with every piece of work that is
        done, where that is known.

        Raises:
            Refused: no such run is known.
        """

    def plan(self, run: str) -> Mapping[str, Any] | None:
        """The plan of a migration as JSON; None if the run has none that is kept in that form.

        Raises:
            Refused: no such run is known.
        """

    def foresee(self, run: str) -> Foreseen | None:
        """What `roll_back` would do; None if it is already done.

        Raises:
            Refused: no such run is known.
        """

    def roll_back(self, run: str, others: Others = Others.REFUSE) -> Undone:
        """Undo a run.

        Raises:
            Refused: no such run is known, or it cannot be undone; nothing was changed.
        """

    def restore(self, run: str, into: Name) -> Undone:
        """Restore in a new table what a run changed, and change nothing else.

        Raises:
            Refused: no such run is known, or that cannot be done; nothing was changed.
        """

    def left(self, run: str = "") -> list[Left]:
        """What ended runs left, or one of them.

        Raises:
            Refused: no such run is known, or it is unfinished.
        """

    def clean(self, lefts: Sequence[Left]) -> None:
        """Remove it permanently.

        Raises:
            Refused: something else depends on it.
        """


def not_in_journal(run: str, known: Sequence[str]) -> Refused:
    """The error for a run that a journal lacks. `known` are its runs, the newest first."""
    names = ", ".join(known[:5]) or "none"
    return Refused([Problem(f"run {run}", f"is not in the journal; known: {names}")])
