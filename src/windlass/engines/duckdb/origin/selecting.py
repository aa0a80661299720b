"""What is read of a table: itself, or what its mapping makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from psycopg import sql

from windlass.engines.mapped_rows import summarizing, unkept
from windlass.engines.statements import each, listed, names, statement, verbatim
from windlass.model.relation import Name
from windlass.model.report import Loss
from windlass.model.translation import ForeignKey, Selected, SourceTable

_NONE = "false"  # a condition that no row meets
_UNTYPED = '"NULL"'  # how DuckDB describes NULL


def rows_of(
    name: Name, selected: Selected | None, within: sql.Composable | None = None
) -> sql.Composable:
    """The table, or its mapping, as a FROM item; only rows that are `within`, a condition on the
    table. What a user writes sees the table under its name."""
    table = names(name.schema, name.name)
    conditions = [within] if within else []
    if selected is None:
        if not conditions:
            return table
        return sql.SQL("(select * from {} where {})").format(table, conditions[0])
    if selected.where:
        conditions.append(_own(selected.where))
    columns = [
        sql.SQL("{} as {}").format(_own(expression) if expression else names(column), names(new))
        for new, column, expression in selected.columns
    ]
    return sql.SQL(
        "(select {columns} from (select * from {table} where {where}) as {alias})"
    ).format(
        columns=listed(columns),
        table=table,
        where=listed(conditions or [sql.SQL("true")], " and "),
        alias=names(name.name),
    )


def _own(text: str) -> sql.Composable:
    """A user's SQL as it is; the line break ends a comment."""
    return sql.SQL("({})").format(verbatim(f"{text}\n"))


def described(session: Any, table: SourceTable) -> SourceTable:
    """The table with the types of all columns, also those that are computed.

    Raises:
        WindlassError: the mapping makes one row of all.
    """
    if table.selected is None:
        return table
    none = rows_of(table.name, replace(table.selected, where=_NONE))
    if session.execute(statement("select * from {rows}", rows=none)).fetchone():
        raise summarizing(table)
    found = session.execute(statement("describe select * from {rows}", rows=none)).fetchall()
    types = {name: "VARCHAR" if type_ == _UNTYPED else type_ for name, type_, *_ in found}
    columns = tuple(replace(one, type=types[one.name]) for one in table.columns)
    return replace(table, columns=columns)


def orphans(session: Any, table: SourceTable) -> Iterator[tuple[str, Loss]]:
    """Foreign keys that rows break because they or their parents are mapped: of whole tables DuckDB
    enforces them."""
    parents = {one.name: one.selected for one in table.parents}
    for key in table.foreign_keys:
        parent = parents.get(key.refers_to)
        is_mapped = table.selected or parent
        if is_mapped and (many := _orphans(session, table, key, parent)):
            yield key.name, unkept(table, key, many)


def _orphans(session: Any, table: SourceTable, key: ForeignKey, parent: Selected | None) -> int:
    pairs = [
        sql.SQL("parent.{} = child.{}").format(names(referred), names(column))
        for column, referred in zip(key.columns, key.referred, strict=True)
    ]
    query = statement(
        "select count(*) from {child} as child where {all} and not exists"
        " (select 1 from {parent} as parent where {pairs})",
        child=rows_of(table.name, table.selected),
        all=each("child.{} is not null", map(names, key.columns), " and "),
        parent=rows_of(key.refers_to, parent),
        pairs=listed(pairs, " and "),
    )
    return int(session.execute(query).fetchone()[0])
