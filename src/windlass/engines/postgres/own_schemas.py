"""Windlass's own schemas and tables in a database: the journal, what was set aside, backups.

They are left out if such a database is a source. A schema that merely has such a name belongs to a
user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name

JOURNAL = "windlass"
_MARK = "Set aside by windlass: windlass status lists it, windlass clean removes it."


@dataclass(frozen=True, slots=True)
class OwnSchemas:
    """`owners` are the roles that own them. `has_usurper`: a user's schema has the journal's
    name."""

    names: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    has_usurper: bool = False


NO_OWN_SCHEMAS = OwnSchemas()


def read_own_schemas(connection: Connection, *, side: str) -> OwnSchemas:
    try:
        rows: list[Any] = connection.execute(load("own_schemas")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading schemas", side=side) from error
    own = [(name, owner) for name, owner, is_own in rows if is_own]
    return OwnSchemas(
        frozenset(name for name, _ in own),
        frozenset(owner for _, owner in own),
        any(not is_own for *_, is_own in rows),
    )


def read_own_tables(connection: Connection, own: OwnSchemas, *, side: str) -> frozenset[Name]:
    """Our tables outside of Windlass's `own` schemas: those that the owner of one, the database's
    or a superuser owns. Anybody else's only look like ours."""
    try:
        rows: list[Any] = connection.execute(load("own_tables")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading tables", side=side) from error
    return frozenset(
        Name(schema, name)
        for schema, name, owner, is_trusted in rows
        if is_trusted or owner in own.owners
    )


def make_schema_aside(connection: Connection, schema: str) -> None:
    """Make the schema for what a run sets aside, with the comment that identifies it."""
    name = sql.Identifier(schema)
    connection.execute(sql.SQL("create schema {}").format(name))
    connection.execute(sql.SQL("comment on schema {} is {}").format(name, sql.Literal(_MARK)))
