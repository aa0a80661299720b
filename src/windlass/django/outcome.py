"""What a refresh did, in the form that commands print, tasks return and programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.model.load import Counts
from windlass.model.outcome import State
from windlass.model.report import Problem
from windlass.model.units import plural
from windlass.model.wording import spelled


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One table. It has no counts if there was nothing to do."""

    label: str  # of the model
    table: str
    source: str
    run: str
    counts: Mapping[str, int] | None = None
    # the asset under which a scheduler's other jobs know the table
    asset: Mapping[str, str] | None = None

    @property
    def text(self) -> str:
        if self.counts is None:
            return f"{self.label}: nothing to do: unchanged since run {self.run}"
        words = [f"{self.counts[one]:,} {one}" for one in _SHOWN if self.counts.get(one)]
        return f"{self.label}: {', '.join(words) or 'no rows'} (run {self.run})"

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.label,
            "table": self.table,
            "from": self.source,
            "run": self.run,
            "unchanged": self.counts is None,
            "asset": dict(self.asset) if self.asset else None,
            "counts": dict(self.counts) if self.counts else Counts().as_dict(),
        }


_SHOWN = ("inserted", "updated", "unchanged", "deleted", "refused")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a refresh, or of undoing one."""

    state: State
    refresh: str = ""
    tables: tuple[Refreshed, ...] = ()
    runs: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()  # that were applied before
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""

    @property
    def exit_code(self) -> int:
        """As for `windlass load`."""
        return _EXITS[self.state]

    def as_json(self) -> dict[str, Any]:
        return {
            "state": str(self.state),
            "refresh": self.refresh,
            "tables": [one.as_json() for one in self.tables],
            "runs": list(self.runs),
            "migrations": list(self.migrations),
            "problems": [plain_problem(one) for one in self.problems],
            "notices": [spelled(one) for one in self.notices],
            "message": spelled(self.message),
            "hint": spelled(self.hint),
        }

    @property
    def lines(self) -> list[str]:
        """The result for people."""
        found = [f"applied migration {one}" for one in self.migrations]
        found += [one.text for one in self.tables]
        found += [spelled(one) for one in self.notices]
        if self.problems:
            found.append(f"{self.state}: {plural(len(self.problems), 'problem')}")
            found += described(self.problems)
        if self.message:
            found.append(f"{self.state}: {spelled(self.message)}")
        if self.hint:
            found.append(f"  {spelled(self.hint)}")
        return found


_EXITS = {
    State.DONE: 0,
    State.ROLLED_BACK: 0,
    State.DIFFERENT: 1,
    State.LOSSY: 1,
    State.REFUSED: 3,
    State.STOPPED: 4,
    State.RUNNING: 4,
    State.TAKEN_BACK: 5,
    State.INTERRUPTED: 130,
}


def plain_problem(one: Problem) -> dict[str, str]:
    return {key: spelled(str(value)) for key, value in one.to_json().items()}


def described(problems: Sequence[Problem]) -> list[str]:
    """A problem for people: the object, what is wrong, what to do."""
    return [
        spelled(f"  {one.object}: {one.message}" + (f" ({one.hint})" if one.hint else ""))
        for one in problems
    ]
