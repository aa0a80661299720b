"""What commands show without loading anything: the plan of a refresh, checks, and migrations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connections

import windlass
from windlass.django.databases import place_of
from windlass.django.filled import filled_problems
from windlass.django.needed import Needed, migrate_if_needed, read_needed
from windlass.django.outcome import Result, described, plain_problem
from windlass.django.planning import DatabasePlan, plan_databases
from windlass.django.refreshing import is_needless, spec_of, updates_given
from windlass.errors import Refused, Unreachable, WindlassError
from windlass.model.outcome import State
from windlass.model.planned import Style
from windlass.model.report import Problem
from windlass.model.units import plural


@dataclass(frozen=True, slots=True)
class Shown:
    """The plan of a refresh, or of migrations."""

    migrations: Needed = field(default_factory=Needed)
    plans: tuple[Any, ...] = ()  # of each run: a `windlass.model.planned.Planned`
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return 3 if self.problems else 0

    @property
    def lines(self) -> list[str]:
        found = list(self.notes)
        for one in self.migrations.migrations:
            found += [f"migration {one.label}", *_indented(one.sql)]
        for plan in self.plans:
            found += plan.as_text(Style()).splitlines()
        if self.problems:
            found += [f"refused: {plural(len(self.problems), 'problem')}"]
            found += described(self.problems)
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "state": "refused" if self.problems else "planned",
            "migrations": [
                {"app": one.app, "name": one.name, "sql": one.sql}
                for one in self.migrations.migrations
            ],
            "runs": [plan.as_json() for plan in self.plans],
            "problems": [plain_problem(one) for one in self.problems],
            "notes": list(self.notes),
        }


def _indented(sql: str) -> list[str]:
    return [f"    {line}" for line in sql.splitlines() if line.strip()]


def shown_plan(updates: object = None, database: str = "") -> Shown:
    """What a refresh would do: the migrations with their SQL, then each run. Writes nothing.

    Raises:
        Refused: with every problem that is known before inputs are read.
    """
    given, alias = updates_given(updates, database)
    plans = plan_databases(given, alias)
    needed = Needed()
    shown: list[Any] = []
    problems: list[Problem] = []
    for plan in plans:
        if plan.migrates:
            needed = read_needed(plan.alias, with_sql=True)
            continue  # whether the inputs fit is only known when the tables exist
        for run in plan.runs:
            if not is_needless(run):
                shown.append(windlass.plan(spec_of(plan.alias, run)))
                problems += [*shown[-1].problems, *filled_problems(plan.alias, run, shown[-1])]
    return Shown(needed, tuple(shown), tuple(problems), tuple(map(_note, plans)))


def _note(plan: DatabasePlan) -> str:
    labels = ", ".join(one.purpose.part.label for run in plan.runs for one in run
                       if not one.purpose.is_second)  # fmt: skip
    made = ", ".join(one.table for one in plan.missing)
    missing = f"; migrations make {made} first" if made else ""
    return f"{place_of(plan.alias)}: {labels}, in {plural(len(plan.runs), 'run')}{missing}"


def checked(database: str = "") -> Result:
    """Every problem that can be known without reading inputs."""
    given, alias = updates_given(None, database)
    try:
        plans = plan_databases(given, alias)
    except Refused as error:
        return Result(State.REFUSED, problems=error.problems)
    except Unreachable as error:
        return Result(State.STOPPED, problems=error.problems)
    problems = [problem for plan in plans for problem in plan.needed.problems]
    if problems:
        return Result(State.REFUSED, problems=tuple(problems))
    notices = tuple(map(_note, plans))
    return Result(State.DONE, notices=(*notices, f"{plural(len(given), 'update')}: no problems"))


def migrated(
    alias: str, *, only_plan: bool, wait_seconds: float, lock_seconds: float
) -> Result | Shown:
    if alias not in connections:
        known = ", ".join(connections)
        problem = Problem(f"database {alias!r}", "is not in DATABASES", f"there are {known}")
        return Result(State.REFUSED, problems=(problem,))
    try:
        if only_plan:
            needed = read_needed(alias, with_sql=True)
            notes = () if needed.migrations or needed.problems else (_NOTHING,)
            return Shown(needed, problems=needed.problems, notes=notes)
        done = migrate_if_needed(alias, wait_seconds=wait_seconds, lock_seconds=lock_seconds)
    except Refused as error:
        return Result(State.REFUSED, problems=error.problems)
    except WindlassError as error:
        return Result(State.STOPPED, message=str(error), hint=error.hint)
    except DatabaseError as error:
        message = f"{place_of(alias)}: {str(error).partition(chr(10))[0]}"
        return Result(State.STOPPED, message=message)
    names = tuple(one.label for one in done.migrations)
    return Result(State.DONE, migrations=names, notices=() if names else (_NOTHING,))


_NOTHING = "nothing to do: every migration is applied"
