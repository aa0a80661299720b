"""Changes the columns of a table of DuckDB to those of an export."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from windlass.engines.statements import names, statement, verbatim
from windlass.model.export import Export
from windlass.model.fit import Fit


def alter(connection: Any, export: Export, table: sql.Identifier, fit: Fit) -> None:
    """Change the columns. If columns are replaced, the table is empty, as a new type would keep no
    values."""
    for name, type_ in fit.added.items():
        add = "alter table {table} add column {name} {type}"
        connection.execute(statement(add, table=table, name=names(name), type=verbatim(type_)))
    for name, (_, type_) in fit.retyped.items():
        change = "alter table {table} alter column {name} set data type {type} using {value}"
        old = verbatim("null") if export.rules.schema == "replace" else names(name)
        value = sql.SQL("cast({} as {})").format(old, verbatim(type_))
        connection.execute(
            statement(change, table=table, name=names(name), type=verbatim(type_), value=value)
        )
    for name in fit.dropped:
        drop = "alter table {table} drop column {name}"
        connection.execute(statement(drop, table=table, name=names(name)))
