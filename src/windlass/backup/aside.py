"""Moves what is in the way into a backup schema by name alone, and back again.

ALTER ... SET SCHEMA writes catalog rows only: it takes no longer for a terabyte than for a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.model.plan import SetAside
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Phase, Statement

# dropped with what they belong to; some cannot be dropped alone (a partition's attached index)
_GOES_ALONG = {"INDEX", "UNIQUE INDEX", "INDEX ATTACH", "CONSTRAINT", "CHECK CONSTRAINT"}
_GONE = (
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
)
# others may have come to use them since
_STAYS_IF_USED = {"SCHEMA", "EXTENSION"}


def set_aside(connection: Connection, items: Sequence[SetAside]) -> None:
    """Move every item into its backup schema, inside the caller's transaction."""
    for schema in sorted({item.backup_schema for item in items}):
        # never one that is there already: its owner could drop what is set aside
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    for item in _routines_first(items):
        for one in _with_companions(connection, item, item.name.schema):
            _move(connection, one, item.name.schema, item.backup_schema)


def put_back(connection: Connection, items: Sequence[SetAside]) -> None:
    """Move every item to where it was, inside the caller's transaction; drop the backup schemas."""
    for item in reversed(_routines_first(items)):
        for one in _with_companions(connection, item, item.backup_schema):
            _move(connection, one, item.backup_schema, item.name.schema)
    for schema in sorted({item.backup_schema for item in items}):
        connection.execute(sql.SQL("drop schema {}").format(sql.Identifier(schema)))


def _routines_first(items: Sequence[SetAside]) -> list[SetAside]:
    """Their signatures name types, by the schema that these are in while they have not moved."""
    return sorted(items, key=lambda item: not item.signature)


def _with_companions(connection: Connection, item: SetAside, schema: str) -> list[SetAside]:
    """The item, and what came with a range type and does not follow it: its multirange, and the
    constructor functions of both."""
    if item.kind != "TYPE" or connection.info.server_version < 140000:
        return [item]
    rows: list[Any] = connection.execute(load("companions")).fetchall()
    companions = [
        replace(item, kind=kind, name=Name(item.name.schema, name), signature=signature)
        for of_schema, of_type, kind, name, signature in rows
        if (of_schema, of_type) == (schema, item.name.name)
    ]
    # the functions' signatures name the types by the schema that these are still in
    return [*sorted(companions, key=lambda one: one.kind), item]


def _move(connection: Connection, item: SetAside, old: str, new: str) -> None:
    statement = sql.SQL("alter {} {}{} set schema {}").format(
        sql.SQL(item.kind),  # one of pg_dump's own words
        sql.Identifier(old, item.name.name),
        sql.SQL(item.signature),  # types as the server writes them
        sql.Identifier(new),
    )
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        doing = f"moving {item.kind.lower()} {item.name.name} from {old} to {new}"
        raise explain(error, doing, side="target") from error


def drop_made(connection: Connection, statements: Iterable[Statement]) -> list[str]:
    """Drop what the statements made, in their order, inside the caller's transaction.

    The caller has put first what was made last.

    Never CASCADE. Schemas and extensions that others use by now stay, and are returned by name.

    Raises:
        Refused: something made since depends on it; nothing is changed then.
    """
    stayed = []
    for statement in statements:
        if not statement.drop or statement.kind in _GOES_ALONG or statement.phase is Phase.GRANTS:
            continue
        try:
            with connection.transaction():  # a savepoint
                connection.execute(statement.drop.encode())
        except psycopg.errors.DependentObjectsStillExist as error:
            if statement.kind in _STAYS_IF_USED:
                stayed.append(str(statement))
                continue
            detail = (error.diag.message_detail or "").replace("\n", "; ")
            problem = Problem(str(statement), f"is in use: {detail}", "drop what depends on it")
            raise Refused([problem]) from None
        except _GONE:
            continue  # already, with what it belonged to
        except psycopg.Error as error:
            raise explain(error, f"dropping {statement}", side="target") from error
    return stayed


def empty_filled(connection: Connection, names: Iterable[Name]) -> None:
    """Take the rows out again of relations that were there, and empty, before the run."""
    for name in names:
        table = sql.Identifier(name.schema, name.name)
        try:
            connection.execute(sql.SQL("delete from only {}").format(table))
        except psycopg.Error as error:
            raise explain(error, f"emptying {name}", side="target") from error
