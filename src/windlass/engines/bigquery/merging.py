"""The statements that change a table of BigQuery: its columns' types, and a merge of staged rows.
Pure."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from windlass.engines.loads import ambiguous, not_unique, without_key
from windlass.engines.statements import Backticks, each, listed, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.export import FLOATS, Export
from windlass.model.fit import Fit


def retype(table: Backticks, fit: Fit) -> Iterator[str]:
    change = "alter table {table} alter column {name} set data type {type}"
    for name, (_, type_) in fit.retyped.items():
        yield statement(change, table=table, name=Backticks(name), type=verbatim(type_))


def merge(export: Export, table: Backticks, staged: Backticks) -> str:
    """Rows with a known key are updated, or kept if rows are only appended; other rows are
    inserted. Sets only exported columns, and deletes nothing."""
    columns = [Backticks(one.name) for one in export.columns]
    changes = [Backticks(name) for name in _changed(export)]
    into = statement(
        "merge into {table} as old using {staged} as new on {same}",
        table=table,
        staged=staged,
        same=_same(export),
    )
    insert = statement(
        " when not matched then insert ({columns}) values ({values})",
        columns=listed(columns),
        values=each("new.{}", columns),
    )
    if not changes:
        return into + insert
    update = " when matched then update set {changes}"
    return into + statement(update, changes=each("{0} = new.{0}", changes)) + insert


def count_present(export: Export, table: Backticks, staged: Backticks) -> str:
    """Counts the staged rows that the table has. Empty if the merge's own count shows that."""
    if _changed(export):
        return ""
    return statement(
        "select count(*) from {staged} as new"
        " where exists (select 1 from {table} as old where {same})",
        table=table,
        staged=staged,
        same=_same(export),
    )


def _changed(export: Export) -> list[str]:
    """The columns that an update sets."""
    names = [one.name for one in export.columns if one.name not in export.key]
    return names if export.updates else []


def refusals(
    export: Export, table: Backticks, staged: Backticks
) -> Iterator[tuple[str, WindlassError]]:
    """Queries that find a row whose key is not unique, each with its error."""
    keys = [Backticks(key) for key in export.key]
    twice = "select 1 from {staged} group by {keys} having count(*) > 1 limit 1"
    yield statement(twice, staged=staged, keys=listed(keys)), not_unique(export)
    missing = [*(sql.SQL("{} is null").format(key) for key in keys), *_not_numbers(export)]
    without = "select 1 from {staged} where {missing} limit 1"
    yield statement(without, staged=staged, missing=listed(missing, " or ")), without_key(export)
    if not export.updates:
        return
    several = (
        "select 1 from {table} as old join {staged} as new on {same}"
        " group by {keys} having count(*) > 1 limit 1"
    )
    old = each("old.{}", keys)
    yield (
        statement(several, table=table, staged=staged, same=_same(export), keys=old),
        ambiguous(export),
    )


def _same(export: Export) -> sql.Composed:
    return each("old.{0} = new.{0}", map(Backticks, export.key), " and ")


def _not_numbers(export: Export) -> Iterator[sql.Composed]:
    """Conditions for NaN in a key: it equals nothing here, so each merge would insert it again."""
    for one in export.columns:
        if one.name in export.key and one.kind in FLOATS:
            yield sql.SQL("is_nan({})").format(Backticks(one.name))
