"""The door through which every statement of a plan goes to the target."""

from __future__ import annotations

import os
from collections.abc import Sequence

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.transaction import run_saved
from windlass.engines.postgres.violations import find_violation
from windlass.errors import ConnectionLost, ConstraintViolated, TargetFull
from windlass.model.report import Loss, LossClass
from windlass.model.statement import Statement
from windlass.model.units import plural


def run_statements(
    connection: Connection, statements: Sequence[Statement], *, first: str = ""
) -> None:
    """Run all in one round trip, inside the caller's transaction, after `first`, which ends with a
    semicolon. If one fails, they are run one by one to find it.

    Raises:
        WindlassError: names the failing statement besides the server's message.
    """
    if not statements and not first:
        return
    try:
        run_saved(connection, first + _script(statements))
    except psycopg.OperationalError as error:
        raise explain(error, "creating objects", side="target") from error
    except psycopg.Error:
        for statement in statements:
            _run(connection, statement)


def _script(statements: Sequence[Statement]) -> str:
    return "".join(statement.sql for statement in statements)


def _run(connection: Connection, statement: Statement) -> None:
    try:
        connection.execute(statement.sql.encode())
    except psycopg.Error as error:
        raise explain(error, f"creating {statement}", side="target") from error


def try_statements(
    connection: Connection, statements: Sequence[Statement], consequence: str
) -> list[Loss]:
    """`try_statement` for each statement; one round trip if none is refused."""
    try:
        run_saved(connection, _script(statements))
    except psycopg.Error:
        found = (try_statement(connection, one, consequence) for one in statements)
        return [loss for loss in found if loss]
    return []


def try_statement(connection: Connection, statement: Statement, consequence: str) -> Loss | None:
    """Create a constraint that existing rows or objects may prevent. Returns the loss if they do,
    with the number of rows that violate a foreign key and the query that shows them.

    Inside the caller's transaction, which can continue.
    """
    try:
        run_saved(connection, statement.sql)
    except psycopg.Error as cause:
        error = explain(cause, f"creating {statement}", side="target")
        if isinstance(error, ConnectionLost | TargetFull):
            raise error from cause
        message = f"{consequence}: {error}"
        is_violated = isinstance(error, ConstraintViolated)
        if is_violated and (found := find_violation(connection, statement.sql)):
            message += f"; {plural(found.rows, 'row')}: {found.query}"
        return Loss(str(statement), message, LossClass.CONSTRAINTS)
    return None


_MEMORY_FOR_BUILDS = (
    "select set_config('maintenance_work_mem', greatest("
    " (select setting::bigint from pg_settings where name = 'maintenance_work_mem'),"
    " least(1048576, greatest(65536, (select setting::bigint * 8 / 4 from pg_settings"
    " where name = 'shared_buffers'))))::text || 'kB', true);\n"
)
"""Gives the caller's transaction more memory: a quarter of shared_buffers, between 64 MB and 1 GB.

Only the server knows how much memory there is; shared_buffers is what its owner has given it.
"""
_BUILDS_IN_PARALLEL = 11_00_00
_WORKERS_FOR_BUILDS = sql.SQL(
    "select set_config('max_parallel_maintenance_workers', least({}, (select setting::int"
    " from pg_settings where name = 'max_parallel_maintenance_workers'))::text, true);\n"
)


def settings_for_builds(connection: Connection, at_once: int) -> str:
    """Settings of the caller's transaction that builds an index, while others build as well:
    `at_once` in all.

    With parallel workers a build takes up to 1.8 times the CPU (1M rows: 0.46 s or 0.82 s for keys
    in order, 0.6 s or 0.95 s for texts; 15.18). That is lost where builds use all cores anyway. How
    many cores there are is known only if the server is on this machine; otherwise its owner's
    setting is kept.
    """
    cores = cores_of(connection)
    if not cores or connection.info.server_version < _BUILDS_IN_PARALLEL:
        return _MEMORY_FOR_BUILDS
    workers = _WORKERS_FOR_BUILDS.format(max(0, cores // at_once - 1))
    return _MEMORY_FOR_BUILDS + workers.as_string(connection)


def cores_of(connection: Connection) -> int:
    """The server's; 0 if it is on another machine."""
    address = connection.info.hostaddr
    is_here = not address or address == "::1" or address.startswith("127.")
    return (os.cpu_count() or 0) if is_here else 0
