"""Merges staged rows into a table of DuckDB: rows with a known key are updated, or kept where rows
are only appended; others are inserted."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from windlass.engines.loads import ambiguous, not_unique, without_key
from windlass.engines.statements import each, listed, names, statement
from windlass.model.export import Export


def merge(connection: Any, export: Export, table: sql.Identifier, staged: sql.Identifier) -> int:
    """Merge; returns how many of the new rows the table has then, including those that it had
    before. Sets only exported columns, and deletes nothing.

    Raises:
        WindlassError: the key does not identify one row, of the new rows or of the table's.
    """
    keys = [names(one) for one in export.key]
    same = each("old.{0} = new.{0}", keys, " and ")
    parts = {"table": table, "staged": staged, "same": same}
    _check_keys(connection, export, parts)
    changes = [names(one.name) for one in export.columns if one.name not in export.key]
    columns = [names(one.name) for one in export.columns]
    if export.updates and changes:
        text = "update {table} as old set {changes} from {staged} as new where {same}"
        known = _number(
            connection, statement(text, changes=each("{0} = new.{0}", changes), **parts)
        )
    else:
        text = (
            "select count(*) from {staged} as new"
            " where exists (select 1 from {table} as old where {same})"
        )
        known = _number(connection, statement(text, **parts))
    text = (
        "insert into {table} ({columns}) select {values} from {staged} as new"
        " where not exists (select 1 from {table} as old where {same})"
    )
    values = each("new.{}", columns)
    inserted = statement(text, columns=listed(columns), values=values, **parts)
    return known + _number(connection, inserted)


def _check_keys(connection: Any, export: Export, parts: dict[str, sql.Composable]) -> None:
    keys = [names(one) for one in export.key]
    twice = "select 1 from {staged} group by {keys} having count(*) > 1 limit 1"
    if _finds(connection, statement(twice, keys=listed(keys), **parts)):
        raise not_unique(export)
    without = "select 1 from {staged} where {missing} limit 1"
    missing = each("{} is null", keys, " or ")
    if _finds(connection, statement(without, missing=missing, **parts)):
        raise without_key(export)
    if not export.updates:
        return
    several = (
        "select 1 from {table} as old join {staged} as new on {same}"
        " group by {keys} having count(*) > 1 limit 1"
    )
    if _finds(connection, statement(several, keys=each("old.{}", keys), **parts)):
        raise ambiguous(export)


def _finds(connection: Any, query: str) -> bool:
    return connection.execute(query).fetchone() is not None


def _number(connection: Any, query: str) -> int:
    """What a query counts, or how many rows a statement has changed."""
    return int(connection.execute(query).fetchone()[0])
