"""Rows of a run's relations that others wrote, identified by their transactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name

LOCKED_AT_ONCE = 100  # relations in one statement


@dataclass(frozen=True, slots=True)
class Held:
    """The rows that a relation has now. `others` are those that the run did not write."""

    name: Name
    rows: int
    others: int
    size_bytes: int
    unlogged: bool  # a crash of its server empties it

    @property
    def may_be_emptied(self) -> bool:
        """Whether a crash may have emptied it: it has no rows, so deletes by others cannot be
        excluded."""
        return self.unlogged and not self.rows


def read_held(connection: Connection, names: Sequence[Name], own: sql.Composed) -> list[Held]:
    """The relations that still exist. `own` is a query for the ids of the transactions that wrote
    the run's rows. So transactions of others never count as the run's, neither later ones nor those
    that began before the run and wrote after it. Scans every relation."""
    found = []
    for name, one in _tables(connection, names).items():
        if one.kind != "r":
            continue
        table = sql.Identifier(name.schema, name.name)
        query = sql.SQL(
            "select count(*), count(*) filter (where t.xmin not in ({})),"
            " pg_catalog.pg_total_relation_size({}) from only {} t"
        ).format(own, sql.Literal(table.as_string(connection)), table)
        try:
            row: Any = connection.execute(query).fetchone()
        except psycopg.Error as error:
            raise explain(error, f"counting the rows of {name}", side="target") from error
        rows, others, size_bytes = map(int, row)
        found.append(Held(name, rows, others, size_bytes, unlogged=one.persistence == "u"))
    return found


@dataclass(frozen=True, slots=True)
class _Table:
    kind: str  # as pg_class has it: r, or p of a partitioned one
    persistence: str


def _tables(connection: Connection, names: Iterable[Name]) -> dict[Name, _Table]:
    """The existing tables, sorted by name: everybody must lock them in the same order."""
    wanted = sorted(names)
    rows: list[Any] = connection.execute(
        "select n.nspname::text, relname::text, relkind::text, relpersistence::text"
        " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = relnamespace"
        " where relkind in ('r', 'p') and (n.nspname, relname) in"
        " (select * from unnest(%s::name[], %s::name[]))",
        ([one.schema for one in wanted], [one.name for one in wanted]),
    ).fetchall()
    there = {Name(schema, name): _Table(*rest) for schema, name, *rest in rows}
    return {name: there[name] for name in wanted if name in there}


def keep_out_writers(connection: Connection, names: Iterable[Name]) -> None:
    """Lock out writers until the transaction ends; readers continue. Nobody can write rows, write
    rows of other tables that refer to them (which locks the referenced row), or attach a
    partition."""
    there = list(_tables(connection, names))
    for start in range(0, len(there), LOCKED_AT_ONCE):
        some = there[start : start + LOCKED_AT_ONCE]
        tables = sql.SQL(", only ").join(sql.Identifier(one.schema, one.name) for one in some)
        try:
            connection.execute(sql.SQL("lock table only {} in exclusive mode").format(tables))
        except psycopg.Error as error:
            raise explain(error, f"locking {some[0]}", side="target") from error


def read_attached(connection: Connection) -> list[tuple[Name, Name]]:
    """Every partition that holds rows, with each relation that it is a partition of."""
    try:
        rows: list[Any] = connection.execute(load("partitions")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (partitions)", side="target") from error
    return [(Name(*row[:2]), Name(*row[2:])) for row in rows]
