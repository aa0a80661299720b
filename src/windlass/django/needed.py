"""Applies migrations only if some are missing, and only if that is safe. Never creates
migrations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from windlass.django.databases import place_of
from windlass.django.locks import MIGRATE, alone
from windlass.errors import Refused, WindlassError
from windlass.model.report import Problem

WAIT_SECONDS, LOCK_SECONDS = 600.0, 5.0


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration that has not been applied."""

    app: str
    name: str
    sql: str = ""  # its statements, if it has any SQL

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True, slots=True)
class Needed:
    """The migrations to apply, and what prevents that."""

    migrations: tuple[Migration, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_needed(alias: str, *, with_sql: bool = False) -> Needed:
    """Writes nothing."""
    connection = connections[alias]
    executor = MigrationExecutor(connection)
    loader = executor.loader
    problems = [*_inconsistent(loader, connection), *_conflicts(loader)]
    if problems:
        return Needed(problems=tuple(problems))
    problems += _ahead(loader)
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    found = [Migration(one.app_label, one.name) for one, _ in plan]
    if with_sql:
        found = [Migration(one.app, one.name, _sql(one, alias)) for one in found]
    return Needed(tuple(found), tuple(problems))


def _inconsistent(loader: Any, connection: Any) -> Iterator[Problem]:
    try:
        loader.check_consistent_history(connection)
    except InconsistentMigrationHistory as error:
        hint = "correct the table django_migrations, or the migrations' dependencies"
        yield Problem("migrations", str(error), hint)


def _conflicts(loader: Any) -> Iterator[Problem]:
    for app, names in sorted(loader.detect_conflicts().items()):
        message = f"has several last migrations: {', '.join(sorted(names))}"
        yield Problem(app, message, "merge them in development: manage.py makemigrations --merge")


def _ahead(loader: Any) -> Iterator[Problem]:
    """Models that have changed since their last migration."""
    state = ProjectState.from_apps(apps)
    found = MigrationAutodetector(loader.project_state(), state).changes(graph=loader.graph)
    for app, migrations in sorted(found.items()):
        changes = [one.describe() for it in migrations for one in it.operations]
        message = f"the models are ahead of the migrations: {'; '.join(changes)}"
        yield Problem(app, message, f"in development: manage.py makemigrations {app}")


def _sql(one: Migration, alias: str) -> str:
    out = StringIO()
    try:
        call_command("sqlmigrate", one.app, one.name, database=alias, stdout=out, no_color=True)
    # it looks for something that an earlier migration creates
    except (DatabaseError, ValueError) as error:
        return f"-- cannot be shown before earlier migrations are applied: {type(error).__name__}"
    return out.getvalue().strip()


def migrate_if_needed(
    alias: str,
    *,
    wait_seconds: float = WAIT_SECONDS,
    lock_seconds: float = LOCK_SECONDS,
    out: Any = None,
) -> Needed:
    """Apply missing migrations, one process at a time. Returns what was applied.

    Raises:
        Refused: there are problems, or another process migrates for too long; nothing was changed.
        WindlassError: a migration failed, or waited too long for a table that is in use.
    """
    if not _checked(alias).migrations:
        return Needed()
    with alone(alias, MIGRATE, wait_seconds):
        needed = _checked(alias)  # another process may have applied them
        if needed.migrations:
            with _lock_timeout(alias, lock_seconds):
                _migrate(alias, out)
            _expect_none(alias)
    return needed


def _checked(alias: str) -> Needed:
    needed = read_needed(alias)
    if needed.problems:
        raise Refused(needed.problems)
    return needed


def _migrate(alias: str, out: Any) -> None:
    try:
        call_command("migrate", database=alias, interactive=False, verbosity=1 if out else 0,
                     stdout=out or StringIO(), no_color=True)  # fmt: skip
    except CommandError as error:
        raise WindlassError(f"{place_of(alias)}: {error}") from error
    except DatabaseError as error:
        cause = error.__cause__ or error
        message = f"{place_of(alias)}: a migration failed: {_first_line(cause)}"
        waited = getattr(cause, "sqlstate", "") == "55P03"
        hint = (
            "others use the table: run the command again"
            if waited
            else "what it did was rolled back, unless the migration is not atomic"
        )
        raise WindlassError(message, hint=hint) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _expect_none(alias: str) -> None:
    """Check that no migration is missing.

    Raises:
        WindlassError: some are still missing.
    """
    if left := read_needed(alias).migrations:
        names = ", ".join(one.label for one in left)
        raise WindlassError(f"{place_of(alias)}: still not applied: {names}")


class _lock_timeout:
    """Limit how long each statement of Django's session waits for a lock, as others queue behind
    it."""

    def __init__(self, alias: str, seconds: float) -> None:
        self._connection, self._seconds = connections[alias], seconds
        self._is_server = self._connection.vendor == "postgresql"

    def __enter__(self) -> None:
        self._set(f"{round(self._seconds * 1000)}ms")

    def __exit__(self, *fault: object) -> None:
        if self._connection.is_usable():
            self._set(None)

    def _set(self, value: str | None) -> None:
        if not self._is_server:
            return
        with self._connection.cursor() as cursor:
            if value is None:
                cursor.execute("reset lock_timeout")
            else:
                cursor.execute("select set_config('lock_timeout', %s, false)", [value])
