"""Foreign keys, and the rows that refer to others. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Referrer:
    """A foreign key. `operators` are SQL for "equal", the referred column on their left."""

    key: str
    relation: Name
    columns: Sequence[str]
    to: Name
    to_columns: Sequence[str]
    operators: Sequence[str]
    is_valid: bool

    def __str__(self) -> str:
        return f"foreign key {self.key} of {self.relation}"


def read_referrers(connection: Connection) -> list[Referrer]:
    """Every foreign key of the database, once for a partitioned relation."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("referrers")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (referrers)", side="target") from error
    return [
        Referrer(
            row["key"],
            Name(row["schema"], row["name"]),
            row["columns"],
            Name(row["to_schema"], row["to_name"]),
            row["to_columns"],
            row["operators"],
            row["is_valid"],
        )
        for row in rows
    ]


def count_referring(connection: Connection, one: Referrer) -> int:
    """Rows that refer to some row: none of their key columns is null."""
    query = sql.SQL("select count(*) from {} referring where {}")
    return _count(connection, one, query.format(_table(one.relation), _filled(one)))


def count_orphans(connection: Connection, one: Referrer) -> int:
    """Rows that refer to a missing row."""
    equal = sql.SQL(" and ").join(
        sql.SQL("referred.{} {} referring.{}").format(
            sql.Identifier(to), sql.SQL(operator), sql.Identifier(column)
        )
        for to, operator, column in zip(one.to_columns, one.operators, one.columns, strict=True)
    )
    query = sql.SQL(
        "select count(*) from {} referring where {}"
        " and not exists (select from {} referred where {})"
    ).format(_table(one.relation), _filled(one), _table(one.to), equal)
    return _count(connection, one, query)


def _table(name: Name) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)


def _filled(one: Referrer) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("referring.{} is not null").format(sql.Identifier(name)) for name in one.columns
    )


def _count(connection: Connection, one: Referrer, query: sql.Composed) -> int:
    try:
        row: Any = connection.execute(query).fetchone()
    except psycopg.Error as error:
        raise explain(error, f"reading {one.relation}", side="target") from error
    return int(row[0])
