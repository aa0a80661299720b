"""A table of a DuckDB file, as a load needs to know it. Reads only."""

from __future__ import annotations

import re
from typing import Any

from windlass.engines.duckdb.types import column_of
from windlass.model.load import Table, TableColumn
from windlass.model.relation import Name
from windlass.model.report import Problem

_TABLES = (
    "select table_name, estimated_size, false from duckdb_tables() where database_name ="
    " current_database() and schema_name = ? and lower(table_name) = lower(?)"
    " union all select view_name, 0, true from duckdb_views() where database_name ="
    " current_database() and schema_name = ? and lower(view_name) = lower(?)"
)
_COLUMNS = (
    "select column_name, data_type, not is_nullable, column_default"
    " from duckdb_columns() where database_name = current_database() and schema_name = ?"
    " and table_name = ? order by column_index"
)
_CONSTRAINTS = (
    "select constraint_type, constraint_column_names from duckdb_constraints()"
    " where database_name = current_database() and schema_name = ? and table_name = ?"
    " and constraint_type in ('PRIMARY KEY', 'UNIQUE')"
)
_INDEXES = (
    "select expressions from duckdb_indexes() where database_name = current_database()"
    " and schema_name = ? and table_name = ? and is_unique"
)


def columns(session: Any, name: Name) -> list[str]:
    """None if there is no such table."""
    query = (
        "select column_name from duckdb_columns() where database_name = current_database()"
        " and schema_name = ? and lower(table_name) = lower(?) order by column_index"
    )
    return [one for (one,) in session.execute(query, [name.schema, name.name]).fetchall()]


def column(
    name: str, type_: str, *, not_null: bool = False, fills: bool = False, generated: bool = False
) -> TableColumn:
    found = column_of(name, type_)
    kind = None if found.is_cast or found.is_list else found.kind
    return TableColumn(
        name, type_, kind, not_null, fills, generated,
        precision=found.precision, scale=found.scale,
    )  # fmt: skip


def read_table(session: Any, name: Name) -> Table | None:
    rows_found = session.execute(_TABLES, [name.schema, name.name] * 2).fetchall()
    if not rows_found:
        return None
    own, rows, is_view = rows_found[0]
    name = Name(name.schema, own)
    if is_view:
        return Table(name, (), problems=(Problem(str(name), "is a view"),))
    where = [name.schema, name.name]
    computed = _computed(session, name)
    found = tuple(
        column(
            column_name, type_, not_null=not_null,
            fills=default is not None and column_name not in computed,
            generated=column_name in computed,
        )
        for column_name, type_, not_null, default in session.execute(_COLUMNS, where).fetchall()
    )  # fmt: skip
    constraints = session.execute(_CONSTRAINTS, where).fetchall()
    primary = next((tuple(names) for kind, names in constraints if kind == "PRIMARY KEY"), ())
    keys = [tuple(names) for _, names in constraints]
    keys += _indexed(session, where, {one.name for one in found})
    ordered = sorted(dict.fromkeys(keys), key=lambda key: key != primary)
    return Table(name, found, tuple(ordered), primary, int(rows))


def _computed(session: Any, name: Name) -> set[str]:
    """Generated columns. No catalog shows them, so they are read from the table's own statement."""
    ((text,),) = session.execute(
        "select sql from duckdb_tables() where database_name = current_database()"
        " and schema_name = ? and table_name = ?",
        [name.schema, name.name],
    ).fetchall()
    if "GENERATED ALWAYS" not in text.upper():
        return set()
    pattern = r'[(,]\s*("(?:[^"]|"")+"|\w+)\s+[^,]*?GENERATED ALWAYS AS'
    found = re.findall(pattern, text, re.IGNORECASE)
    return {one[1:-1].replace('""', '"') if one.startswith('"') else one for one in found}


def _indexed(session: Any, where: list[str], known: set[str]) -> list[tuple[str, ...]]:
    """The columns of unique indexes; an index on an expression is no key."""
    found = []
    for (text,) in session.execute(_INDEXES, where).fetchall():
        parts = re.findall(r'"(?:[^"]|"")+"|[^\[\],\s\']+', text or "")
        columns = tuple(
            one[1:-1].replace('""', '"') if one.startswith('"') else one for one in parts
        )
        if columns and set(columns) <= known:
            found.append(columns)
    return found


def positions(session: Any, table: Table) -> tuple[str, ...]:
    """The column that distinguishes all rows, unless one of the table's own columns has its
    name."""
    taken = {one.lower() for one in columns(session, table.name)}
    return () if "rowid" in taken else ("rowid",)
