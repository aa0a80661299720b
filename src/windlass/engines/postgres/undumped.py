"""Parts of a source that are neither in its schema dump nor in its user tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Undumped:
    """`extension_rows` counts users' rows in tables of extensions, by extension and table; None if
    this user may not read them. `hidden_mappings` are the tags of user mappings whose options it
    may not see.
    """

    extension_rows: Mapping[tuple[str, Name], int | None] = field(default_factory=dict)
    hidden_mappings: frozenset[str] = frozenset()


NOTHING_UNDUMPED = Undumped()


def read_undumped(source: Connection) -> Undumped:
    """Raises:
    WindlassError: the server's reason.
    """
    try:
        tables: list[Any] = source.execute(load("extension_tables")).fetchall()
        rows = {
            (extension, Name(schema, name)): _count(source, Name(schema, name), condition)
            if readable
            else None
            for extension, schema, name, condition, readable in tables
        }
        mappings: list[Any] = source.execute(load("hidden_mappings")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading tables of extensions", side="source") from error
    tags = (f"USER MAPPING {role} SERVER {server}" for role, server in mappings)
    return Undumped(rows, frozenset(tags))


def _count(source: Connection, name: Name, condition: str) -> int:
    """How many rows meet the condition, which is the extension's own SQL: empty, or WHERE and an
    expression."""
    query = sql.SQL("select count(*) from {}").format(sql.Identifier(name.schema, name.name))
    row: Any = source.execute(query.as_bytes(source) + b" " + condition.encode()).fetchone()
    return int(row[0])
