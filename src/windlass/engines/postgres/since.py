"""Rows that were written after a run of ours had ended, told by their transactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Held:
    """What a relation has now. `newer` rows are younger than the row of a journal."""

    name: Name
    rows: int
    newer: int
    size_bytes: int


def read_held(
    connection: Connection, names: Sequence[Name], journal: Name, key: str, value: str
) -> list[Held]:
    """Those of the relations that are there. `journal` is a table, whose row with this value of
    `key` was last written when the run ended. Scans every relation."""
    young = sql.SQL(
        "pg_catalog.age(t.xmin) < (select pg_catalog.age(r.xmin) from {} r where r.{} = {})"
    ).format(sql.Identifier(journal.schema, journal.name), sql.Identifier(key), sql.Literal(value))
    found = []
    for name in names:
        table = sql.Identifier(name.schema, name.name)
        row: Any = connection.execute(
            "select relkind from pg_catalog.pg_class where oid = pg_catalog.to_regclass(%s::text)",
            (table.as_string(connection),),
        ).fetchone()
        if row is None or row[0] != "r":
            continue
        query = sql.SQL(
            "select count(*), count(*) filter (where {}), pg_catalog.pg_total_relation_size({})"
            " from only {} t"
        ).format(young, sql.Literal(table.as_string(connection)), table)
        try:
            row = connection.execute(query).fetchone()
        except Exception as error:
            raise explain(error, f"counting the rows of {name}", side="target") from error
        found.append(Held(name, *map(int, row)))
    return found
