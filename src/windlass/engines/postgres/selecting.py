"""The statements that read the rows of an export: as Arrow, or as the server's own CSV.

The SELECT list casts what would not arrive unchanged. Values that a warehouse's CSV cannot hold
become NULL, and can be counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from windlass.engines.base import Facts
from windlass.engines.postgres.session import Connection
from windlass.engines.statements import where_within
from windlass.model.export import Column, Export, Kind, Losses, Lost


def select(export: Export, columns: Sequence[sql.Composable]) -> sql.Composed:
    """The rows of an export. `query` is ours or the user's own, and ends with its conditions."""
    return sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(columns) if columns else sql.SQL("1"), from_item(export)
    )


def from_item(export: Export) -> sql.Composed:
    item: sql.Composable = sql.SQL(export.query)
    if not export.watermark or not (export.span.since or export.span.once):
        return sql.Composed([item])
    where = where_within(export.span, sql.Identifier(export.watermark), sql.Literal)
    return sql.SQL("(select * from {}{}) as windlass_rows").format(item, where)


def _source(column: Column) -> sql.Composable:
    """The column in the source, of the type that was asked for."""
    name = sql.Identifier(column.origin)
    return sql.SQL("({}::{})").format(name, sql.SQL(column.cast)) if column.cast else name


# Our functions and types are qualified, because the search_path may be that of the user's SQL.
# Operators need not be: between two built-in types PostgreSQL always prefers the built-in one.
_HIDDEN = sql.SQL("case when {} is not null then '***' end")
_AS_JSON = sql.SQL("pg_catalog.to_json({})::pg_catalog.text")
_AS_TEXT = sql.SQL("{}::pg_catalog.text")
# In the role's time zone, the text of a moment would have its offset.
_IN_UTC = sql.SQL(
    "case when pg_catalog.isfinite({0}) then pg_catalog.regexp_replace("
    "pg_catalog.timezone('UTC', {0})::pg_catalog.text, '( BC)?$', '+00\\1')"
    " else {0}::pg_catalog.text end"
)
_SHAPE = sql.SQL(
    "case when pg_catalog.array_ndims({0}) > 1 then 2"
    " when pg_catalog.array_lower({0}, 1) <> 1 then 1 else 0 end::pg_catalog.int2 as {1}"
)
_INSTANT = "timestamp with time zone"


def _value(column: Column) -> sql.Composable:
    name = _source(column)
    if column.mask:
        return _HIDDEN.format(name)
    if column.is_cast and column.kind is Kind.JSON:
        return _AS_JSON.format(name)
    if column.inside:
        return _AS_TEXT.format(name)
    if column.is_cast:
        return (_IN_UTC if column.type == _INSTANT else _AS_TEXT).format(name)
    if column.type == "oid":
        return sql.SQL("{}::pg_catalog.int8").format(name)
    return name


def arrow_list(export: Export) -> list[sql.Composable]:
    """Every column, then a number for each list that shows whether it is a plain list: ADBC
    flattens `{{1,2},{3,4}}`."""
    found: list[sql.Composable] = [
        sql.SQL("{} as {}").format(_value(one), sql.Identifier(one.name)) for one in export.columns
    ]
    return found + [
        _SHAPE.format(_source(one), sql.Identifier(f"windlass_{at}"))
        for at, one in enumerate(export.columns)
        if one.is_list
    ]


def csv_list(export: Export, target: Facts) -> list[sql.Composable]:
    return [_csv_value(one, target, in_utc=not export.has_sql) for one in export.columns]


def _csv_value(column: Column, target: Facts, *, in_utc: bool) -> sql.Composable:
    """`in_utc`: the session is in UTC, so the text needs no conversion."""
    name, value = _source(column), _value(column)
    if column.mask or column.is_cast:
        return value
    if column.kind is Kind.INSTANT and not in_utc:
        value = _IN_UTC.format(name)
    if column.kind is Kind.BYTES and target.csv_base64:
        return _BASE64.format(name)
    if inside := _inside(column, target):
        return sql.SQL("case when {} then {} end").format(inside, value)
    if column.kind is Kind.DECIMAL and not target.decimal_nan:
        return sql.SQL("nullif({}, 'NaN')").format(value)
    return value


_BASE64 = sql.SQL("pg_catalog.translate(pg_catalog.encode({}, 'base64'), pg_catalog.chr(10), '')")
_BOUNDS = {
    Kind.DATE: "{0} between pg_catalog.make_date({1}, 1, 1) and pg_catalog.make_date({2}, 12, 31)",
    Kind.TIMESTAMP: "{0} >= pg_catalog.make_date({1}, 1, 1)"
    " and {0} < pg_catalog.make_date({2}, 12, 31) + 1",
    Kind.INSTANT: "pg_catalog.timezone('UTC', {0}) >= pg_catalog.make_date({1}, 1, 1)"
    " and pg_catalog.timezone('UTC', {0}) < pg_catalog.make_date({2}, 12, 31) + 1",
}


def _inside(column: Column, target: Facts) -> sql.Composed | None:
    """The condition that the target can hold a date or time; None if it can hold all."""
    name = _source(column)
    if column.kind is Kind.TIME and not target.midnight_ends:
        return sql.SQL("{} < '24:00'").format(name)
    if column.kind in _BOUNDS and target.years:
        first, last = map(sql.Literal, target.years)
        return sql.SQL(_BOUNDS[column.kind]).format(name, first, last)
    return None


def count_csv_losses(connection: Connection, export: Export, target: Facts) -> Losses:
    """How many values the CSV leaves out, counted in the same snapshot."""
    asked = {
        one.name: sql.SQL("count(*) filter (where {} is null and {} is not null)").format(
            _csv_value(one, target, in_utc=True), _source(one)
        )
        for one in export.columns
        if not (one.mask or one.is_cast)
        and ((one.kind is Kind.DECIMAL and not target.decimal_nan) or _inside(one, target))
    }
    if not asked:
        return Losses()
    row = connection.execute(select(export, list(asked.values()))).fetchone()
    assert row is not None
    counts = {
        (name, Lost.NO_PLACE): int(str(count)) for name, count in zip(asked, row, strict=True)
    }
    return +Losses(counts)
