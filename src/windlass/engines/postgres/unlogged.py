"""What a crash of a server empties: unlogged relations and sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Unlogged:
    """`has_triggers`: there is a trigger on it, or one of a foreign key. `guarded`: row security
    is forced, or a trigger fires whatever session_replication_role is."""

    has_triggers: bool
    guarded: bool


def read_unlogged(connection: Connection) -> Mapping[Name, Unlogged]:
    """All unlogged relations of the database, by name."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("unlogged")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (unlogged)", side="target") from error
    return {
        Name(row["schema"], row["name"]): Unlogged(row["has_triggers"], row["guarded"])
        for row in rows
    }


def read_writers(connection: Connection, names: Sequence[Name]) -> list[str]:
    """The transactions (or subtransactions) that last altered these relations. Making a relation
    logged or unlogged rewrites every row."""
    try:
        rows: list[Any] = connection.execute(
            "select distinct c.xmin::text from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace"
            " where (n.nspname, c.relname) in (select * from unnest(%s::name[], %s::name[]))",
            ([one.schema for one in names], [one.name for one in names]),
        ).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (relations)", side="target") from error
    return [str(xid) for (xid,) in rows]
