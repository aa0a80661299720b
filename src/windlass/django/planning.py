"""From updates to the runs of each database: everything that can be known without reading inputs,
and all problems of it at once. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

from windlass.django.databases import database_for, place_of, refuse_within_transaction, url_of
from windlass.django.needed import Needed, read_needed
from windlass.django.order import Run, Target, runs_of
from windlass.django.tables import Part, find_model, parts_of
from windlass.django.updates import Configured, Update, read_setting
from windlass.errors import BadSpec, Refused, Unreachable
from windlass.model.report import Problem


def read_configured() -> Configured:
    """The project's setting.

    Raises:
        BadSpec: with every fault of it.
    """
    found = read_setting(getattr(settings, "WINDLASS", {}))
    faults = list(found.faults)
    if found.database and found.database not in settings.DATABASES:
        faults.append(f"database: there is no database {found.database!r} in DATABASES")
    if faults:
        raise BadSpec([f"WINDLASS: {one}" for one in faults])
    return found


def targets_of(updates: Sequence[Update], database: str = "") -> list[Target]:
    """Each update with its model and database.

    Raises:
        Refused: with every problem.
    """
    found: list[Target] = []
    problems: list[Problem] = []
    for one in updates:
        try:
            model = find_model(one.table)
            if model._meta.swapped:
                raise Refused([Problem(one.table, f"is swapped for {model._meta.swapped}")])
            parts_of(model)
            found.append(Target.of(one, model, database_for(model, database)))
        except Refused as error:
            problems += [Problem(f"{one.place}: {it.object}", it.message, it.hint)
                         for it in error.problems]  # fmt: skip
    if problems:
        raise Refused(problems)
    return found


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """The part of a refresh that affects one database."""

    alias: str
    targets: tuple[Target, ...]
    runs: tuple[Run, ...]
    missing: tuple[Part, ...] = ()
    needed: Needed = field(default_factory=Needed)

    @property
    def migrates(self) -> bool:
        """Whether migrations must be applied before rows are loaded."""
        return bool(self.missing)


def plan_databases(updates: Sequence[Update], database: str = "") -> list[DatabasePlan]:
    """The plan for each database.

    Raises:
        Refused: with every problem of every database.
        Unreachable: one cannot be reached.
    """
    by_alias: dict[str, list[Target]] = defaultdict(list)
    for one in targets_of(updates, database):
        by_alias[one.alias].append(one)
    found: list[DatabasePlan] = []
    problems: list[Problem] = []
    for alias, targets in by_alias.items():
        try:
            found.append(_plan(alias, targets))
        except Refused as error:
            problems += error.problems
    if problems:
        raise Refused(problems)
    return found


def _plan(alias: str, targets: Sequence[Target]) -> DatabasePlan:
    url_of(alias)
    refuse_within_transaction(alias)
    runs = runs_of(targets)
    try:
        missing = _missing(alias, targets)
        needed = read_needed(alias)
    except (DatabaseError, ImproperlyConfigured) as error:
        message = str(error).partition("\n")[0]
        raise Unreachable([Problem(f"database {place_of(alias)}", message)]) from error
    problems = list(_problems(missing, needed, targets))
    if problems:
        raise Refused(problems)
    return DatabasePlan(alias, tuple(targets), tuple(runs), missing, needed)


def _missing(alias: str, targets: Sequence[Target]) -> tuple[Part, ...]:
    """Tables that do not exist."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        there = {one.name for one in connection.introspection.get_table_list(cursor)}
    parts = {part.table: part for one in targets for part in one.parts}
    return tuple(one for one in parts.values() if one.bare not in there)


def _problems(missing: Sequence[Part], needed: Needed, targets: Sequence[Target]) -> list[Problem]:
    found: list[Problem] = []
    apps = {one.app for one in needed.migrations}
    for part in missing:
        if not part.model._meta.managed:
            message = f"there is no table {part.table}, and the model is not managed"
            found.append(Problem(part.label, message, "make the table; it is filled, never made"))
        elif part.model._meta.app_label not in apps and not needed.problems:
            message = f"there is no table {part.table}, and all migrations are applied"
            hint = "it was dropped, or migrations were faked: manage.py migrate --plan"
            found.append(Problem(part.label, message, hint))
    if missing:
        return [*found, *needed.problems]
    loaded = {part.model._meta.app_label for one in targets for part in one.parts}
    late = [one for one in needed.migrations if one.app in loaded]
    if late:
        names = ", ".join(one.label for one in late)
        found.append(Problem("migrations", f"of models that are loaded are not applied: {names}",
                             "manage.py windlass_migrate_if_needed"))  # fmt: skip
    return found
