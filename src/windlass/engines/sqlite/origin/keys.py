"""Whether a table's rows satisfy its own keys as the target would enforce them. SQLite can have
NULL in a primary key, and rows without a parent, as it checks references only on request."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.mapped_rows import unkept
from windlass.engines.sqlite.origin.counted import Counted
from windlass.engines.sqlite.origin.selecting import rows_of
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Field, ForeignKey, Sort, SourceTable
from windlass.model.units import plural


@dataclass(frozen=True, slots=True)
class Keys:
    problems: tuple[Problem, ...] = ()
    losses: tuple[Loss, ...] = ()
    orphaned: tuple[str, ...] = ()  # foreign keys


def look_at_keys(
    session: sqlite3.Connection,
    table: SourceTable,
    fields: Sequence[Field],
    rows: int,
    counted: Mapping[str, Counted],
) -> Keys:
    orphaned: list[str] = []
    losses = [*_blanks(table, fields)]
    if _has_parents(session, table):
        for key in table.foreign_keys:
            if many := _orphans(session, table, key):
                losses.append(unkept(table, key, many))
                orphaned.append(key.name)
    return Keys(tuple(_nulls(table, rows, counted)), tuple(losses), tuple(orphaned))


def _nulls(table: SourceTable, rows: int, counted: Mapping[str, Counted]) -> Iterator[Problem]:
    for column in table.primary_key.columns if table.primary_key else ():
        if missing := rows - counted[column].values:
            message = f"{plural(missing, 'row')} with NULL in the primary key"
            hint = "SQLite allows that: give them a value, delete them, or exclude the table"
            yield Problem(f"{table.name}.{column}", message, hint)


def _blanks(table: SourceTable, fields: Sequence[Field]) -> Iterator[Loss]:
    """Losses for keys that SQLite compares without blanks at the end. Those that it compares
    without case get an index that does the same."""
    texts = {one.name for one in fields if one.type.sort is Sort.TEXT}
    padded = {one.name for one in table.columns if one.collation == "RTRIM"} & texts
    keys = [*([table.primary_key] if table.primary_key else []), *table.uniques]
    for key in keys:
        if padded & set(key.columns):
            message = (
                f"key {key.name} ({', '.join(key.columns)}) ignores blanks at the end (RTRIM): the"
                " target accepts keys that differ only in these"
            )
            yield Loss(str(table.name), message, LossClass.CONSTRAINTS)


def _has_parents(session: sqlite3.Connection, table: SourceTable) -> bool:
    """Whether every reference is to a key of a table. SQLite accepts others, which planning
    refuses. The query is only compiled, so nothing is read."""
    for key in table.foreign_keys:
        query = "select 1 from sqlite_schema where type = 'table' and name = ?"
        if not session.execute(query, (key.refers_to.name,)).fetchone():
            return False
    check = statement("explain pragma foreign_key_check({table})", table=names(table.name.name))
    try:
        session.execute(check).fetchall()
    except sqlite3.OperationalError as error:
        if "foreign key mismatch" in str(error):
            return False
        raise
    return True


def _orphans(session: sqlite3.Connection, table: SourceTable, key: ForeignKey) -> int:
    """Rows without a parent by the target's equality: SQLite's own check ignores case if the
    parent's column does. The first comparison uses the parent's index, the second one is exact."""
    pairs = [
        verbatim("parent.{0} = child.{1} and parent.{0} = child.{1} collate binary").format(
            names(referred), names(column)
        )
        for column, referred in zip(key.columns, key.referred, strict=True)
    ]
    present = [verbatim("child.{} is not null").format(names(one)) for one in key.columns]
    query = statement(
        "select count(*) from (select * from {child}) as child where {all} and not exists"
        " (select 1 from (select * from {parent}) as parent where {pairs})",
        child=rows_of(table.name.name, table.selected),
        all=listed(present, " and "),
        parent=_parent(table, key),
        pairs=listed(pairs, " and "),
    )
    return int(session.execute(query).fetchone()[0])


def _parent(table: SourceTable, key: ForeignKey) -> sql.Composable:
    mapped = {one.name: one.selected for one in table.parents}
    return rows_of(key.refers_to.name, mapped.get(key.refers_to))
