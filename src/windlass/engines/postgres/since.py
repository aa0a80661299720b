"""Rows that were written after a run of ours had ended, told by their transactions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Held:
    """What a relation has now. `newer` rows are younger than the row of a journal."""

    name: Name
    rows: int
    newer: int
    size_bytes: int
    unlogged: bool  # a crash of its server empties it

    @property
    def may_be_emptied(self) -> bool:
        """By a crash, as it has no row: nobody can say whether somebody has deleted them."""
        return self.unlogged and not self.rows


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
        persistence = _persistence(connection, name)
        if not persistence:
            continue
        query = sql.SQL(
            "select count(*), count(*) filter (where {}), pg_catalog.pg_total_relation_size({})"
            " from only {} t"
        ).format(young, sql.Literal(table.as_string(connection)), table)
        try:
            row: Any = connection.execute(query).fetchone()
        except psycopg.Error as error:
            raise explain(error, f"counting the rows of {name}", side="target") from error
        rows, newer, size_bytes = map(int, row)
        found.append(Held(name, rows, newer, size_bytes, unlogged=persistence == "u"))
    return found


def _persistence(connection: Connection, name: Name) -> str:
    """Of a table; "" if there is none."""
    row: Any = connection.execute(
        "select relkind, relpersistence from pg_catalog.pg_class"
        " where oid = pg_catalog.to_regclass(%s::text)",
        (sql.Identifier(name.schema, name.name).as_string(connection),),
    ).fetchone()
    return str(row[1]) if row is not None and row[0] == "r" else ""


def keep_out_writers(connection: Connection, names: Sequence[Name]) -> None:
    """Until the transaction ends. Readers go on. Rows that refer to theirs are not written either:
    that takes a lock on the row which is referred to."""
    for name in names:
        if not _persistence(connection, name):
            continue
        statement = sql.SQL("lock table only {} in exclusive mode")
        try:
            connection.execute(statement.format(sql.Identifier(name.schema, name.name)))
        except psycopg.Error as error:
            raise explain(error, f"locking {name}", side="target") from error


def read_guests(connection: Connection, made: Collection[Name]) -> dict[Name, Name]:
    """Partitions of made relations that are not made themselves, each with one of these."""
    try:
        rows: list[Any] = connection.execute(load("partitions")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (partitions)", side="target") from error
    return {
        Name(schema, name): Name(root_schema, root)
        for schema, name, root_schema, root in rows
        if Name(root_schema, root) in made and Name(schema, name) not in made
    }
