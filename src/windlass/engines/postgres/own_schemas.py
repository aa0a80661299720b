"""Schemas of windlass's own in a database that a run went into: journal, and what was set aside.

As a source such a database is migrated without them. One that only has such a name is a user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection

JOURNAL = "windlass"
_MARK = "Set aside by windlass: windlass status lists it, windlass clean removes it."


@dataclass(frozen=True, slots=True)
class OwnSchemas:
    """`owners` are the roles that they belong to; `has_usurper`: the journal's name is a user's."""

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


def make_schema_aside(connection: Connection, schema: str) -> None:
    """A schema for what a run sets aside, with the mark by which it is known."""
    name = sql.Identifier(schema)
    connection.execute(sql.SQL("create schema {}").format(name))
    connection.execute(sql.SQL("comment on schema {} is {}").format(name, sql.Literal(_MARK)))
