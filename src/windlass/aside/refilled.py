"""Rows of the target that migrations made, and that the source's rows replace: noted in the
journal, and put back by a rollback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql

from windlass.aside.objects import empty_filled
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.model.relation import Name
from windlass.model.report import Problem

MOST_ROWS = 100_000  # of all tables: the journal holds them
ROWS = "rows of migrations"  # the journal's item


def take_rows(connection: Connection, names: Iterable[Name]) -> dict[str, str]:
    """Delete the rows of these tables, inside the caller's transaction. Returns them, as JSON, for
    the journal.

    Raises:
        Refused: there are more than a project's migrations make.
    """
    found: dict[str, str] = {}
    total = 0
    for name in names:
        count, rows = _rows(connection, name)
        if count:
            found[str(name)] = rows
            total += count
    if total > MOST_ROWS:
        message = f"there are {total:,} rows, more than migrations make"
        hint = "empty the target: manage.py flush"
        raise Refused([Problem(", ".join(found), message, hint)])
    empty_filled(connection, [Name.read(name) for name in found])
    return found


def _rows(connection: Connection, name: Name) -> tuple[int, str]:
    query = sql.SQL(
        "select count(*), coalesce(json_agg(row_to_json(windlass_row)), '[]')::text"
        " from only {} as windlass_row"
    ).format(sql.Identifier(name.schema, name.name))
    try:
        row = connection.execute(query).fetchone()
    except psycopg.Error as error:
        raise explain(error, f"reading {name}", side="target") from error
    assert row is not None
    count, rows = row
    return int(str(count)), str(rows)


def put_rows_back(connection: Connection, noted: Mapping[str, str]) -> None:
    """Insert the noted rows again, inside the caller's transaction."""
    for text, rows in noted.items():
        name = Name.read(text)
        table = sql.Identifier(name.schema, name.name)
        statement = sql.SQL(
            "insert into {0} select * from json_populate_recordset(null::{0}, {1})"
        ).format(table, sql.Literal(rows))
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            raise explain(error, f"putting back rows of {name}", side="target") from error
