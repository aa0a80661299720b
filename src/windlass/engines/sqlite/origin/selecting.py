"""What is read of a table: itself, or what its mapping makes of it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from psycopg import sql

from windlass.engines.mapped_rows import summarizing
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.translation import Selected, SourceTable

NUMBER = "windlass number"
"""The row's number, in what is read of a mapped table."""


def rows_of(table: str, selected: Selected | None, number: str = "") -> sql.Composable:
    """The table, or its mapping, as a FROM item. A mapping is only expressions and a condition, so
    SQLite merges it into the query."""
    if selected is None:
        return names(table)
    columns = [
        verbatim("{} as {}").format(
            verbatim("({})").format(verbatim(f"{expression}\n")) if expression else names(column),
            names(name),
        )
        for name, column, expression in selected.columns
    ]
    if number:
        columns.append(verbatim("{} as {}").format(names(number), names(NUMBER)))
    query = statement(
        "(select {columns} from {table} where {where}) as {table}",
        columns=listed(columns),
        table=names(table),
        where=verbatim(f"({selected.where}\n)" if selected.where else "1"),
    )
    return verbatim(query)


def check_rows(session: sqlite3.Connection, table: SourceTable) -> None:
    """Raises:
    WindlassError: the mapping makes one row of all.
    """
    if table.selected is not None:
        none = rows_of(table.name.name, replace(table.selected, where="0"))
        if session.execute(statement("select * from {rows}", rows=none)).fetchone():
            raise summarizing(table)
