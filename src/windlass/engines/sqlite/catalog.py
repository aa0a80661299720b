"""The contents of an SQLite file. Reads only; decides nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from importlib import resources

from windlass.model.export import Readable
from windlass.model.relation import Name

SCHEMA = "main"  # as SQLite calls the file that was opened


@cache
def _relations_query() -> str:
    folder = resources.files("windlass.engines.sqlite")
    return (folder / "relations.sql").read_text(encoding="utf-8")


def read_relations(connection: sqlite3.Connection) -> list[Readable]:
    """The relations. Views and virtual tables, such as full-text indexes, match only by their full
    name."""
    found = []
    for name, kind, _, primary_key, not_null in connection.execute(_relations_query()).fetchall():
        key = tuple(json.loads(primary_key)) or _unique_key(connection, name, json.loads(not_null))
        found.append(
            Readable(
                Name(SCHEMA, name.decode()),
                by_pattern=kind == b"table",
                key=key,
                not_null=frozenset(json.loads(not_null)),
            )
        )
    return found


def _unique_key(
    connection: sqlite3.Connection, table: bytes, not_null: Sequence[str]
) -> tuple[str, ...]:
    """The columns of a unique index in which no row can have a NULL."""
    rows = connection.execute(
        "select i.name, (select json_group_array(name) from pragma_index_info(i.name))"
        ' from pragma_index_list(?) as i where i."unique" and not i.partial order by i.seq desc',
        (table.decode(),),
    ).fetchall()
    for _, columns in rows:
        names = json.loads(columns)
        if names and all(name in not_null for name in names):  # an expression has no name
            return tuple(names)
    return ()


def read_declared(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The declared types of a table's or view's columns; empty for an expression."""
    rows = connection.execute("select name, type from pragma_table_xinfo(?)", (table,)).fetchall()
    return {name.decode(): type_.decode() for name, type_ in rows}
