"""Runs of the past: what undoing one would do and has done, and what ended ones have left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from windlass.errors import Refused
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.relation import Name
from windlass.model.report import Problem


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a rollback would do: ``drops 13 tables (5.9 M rows, 1.2 GB) and restores 3 objects``.
    `written` names what has been written since the run, and would be lost; `blocked` what keeps it
    from being undone at all."""

    summary: str
    written: Sequence[Problem] = ()
    blocked: Sequence[Problem] = ()

    def refuse(self, *, force: bool = False) -> None:
        """Raises:
        Refused: what was written since would be lost, and may not be.
        """
        if problems := [*self.blocked, *(() if force else self.written)]:
            raise Refused(problems)


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback has done. `stayed` says what is not as it was before the run, and why."""

    message: str
    stayed: Sequence[str] = ()
    already: bool = False  # by an earlier command; this one wrote nothing


@dataclass(frozen=True, slots=True)
class Left:
    """Of one run. Without its journal it can be neither resumed nor rolled back. `state` is "" of a
    run that the journal does not know any more."""

    run: str
    state: str
    finished_at: str
    schemas: tuple[str, ...]
    size_bytes: int
    renamed: tuple[tuple[str, str], ...] = ()  # what lives in no schema: kind and name
    large_objects: tuple[int, ...] = ()  # copies, by id
    backup: Name | None = None  # a rewrite's, a table


class Past(Protocol):
    """Where runs of the past are known: a target's journal, or what an export has left. Use as a
    context manager."""

    def __enter__(self) -> Self:
        """Raises:
        WindlassError: it cannot be reached.
        """

    def __exit__(self, *fault: Any) -> None: ...

    def statuses(self) -> list[RunStatus]:
        """Every run, the newest first."""

    def detail(self, run: str) -> RunDetail:
        """Raises:
        Refused: no such run is known.
        """

    def foresee(self, run: str) -> Foreseen | None:
        """What `roll_back` would do; None if it has been done already.

        Raises:
            Refused: no such run is known.
        """

    def roll_back(self, run: str, *, force: bool = False) -> Undone:
        """Undo a run; with `force` also what others have written since.

        Raises:
            Refused: no such run is known, or it cannot be undone; nothing was changed.
        """

    def left(self, run: str = "") -> list[Left]:
        """What ended runs have left; or one of them.

        Raises:
            Refused: no such run is known, or it is unfinished.
        """

    def clean(self, lefts: Sequence[Left]) -> None:
        """Remove it, for good.

        Raises:
            Refused: something else depends on it.
        """
