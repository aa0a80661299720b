"""The door through which every statement of a plan goes to the target."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

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


MEMORY_FOR_BUILDS = (
    "select set_config('maintenance_work_mem', greatest("
    " (select setting::bigint from pg_settings where name = 'maintenance_work_mem'),"
    " least(1048576, greatest(65536, (select setting::bigint * 8 / 4 from pg_settings"
    " where name = 'shared_buffers'))))::text || 'kB', true);\n"
)
"""Gives the caller's transaction more memory: a quarter of shared_buffers, between 64 MB and 1 GB.

Only the server knows how much memory there is; shared_buffers is what its owner has given it.
"""
