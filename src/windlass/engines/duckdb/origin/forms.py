"""How values are written: as texts, as fields of a line of COPY, and for hashing; as expressions of
DuckDB. Pure.

Texts: `windlass.engines.canonical`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from psycopg import sql

from windlass.engines.duckdb.origin.types import CAST
from windlass.engines.statements import listed, names, verbatim
from windlass.model.translation import Field, Sort

OWN = "="  # before a form that is an expression over `{0}`
_SECONDS: LiteralString = "%Y-%m-%d %H:%M:%S.%f"
_TEXTS: dict[str, LiteralString] = {
    "bool": "case {0} when true then 't' when false then 'f' end",
    "number": "cast({0} as varchar)",
    "float": "cast({0} as varchar)",
    "text": "cast({0} as varchar)",
    "uuid": "cast({0} as varchar)",
    "bits": "cast({0} as varchar)",
    "blob": "lower(hex({0}))",
    "encoded": "lower(hex(encode({0})))",
    "date": "strftime({0}, '%Y-%m-%d')",
    "time": "printf('%02d:%02d:%02d.%06d', hour({0}), minute({0}), second({0}),"
    " microsecond({0}) % 1000000)",
    "time_ns": "printf('%02d:%02d:%02d.%06d', hour({0}), minute({0}), second({0}),"
    " microsecond({0}) % 1000000)",
    "timestamp": "strftime(cast({0} as timestamp), '" + _SECONDS + "')",
    "timestamp_ns": "strftime({0}, '" + _SECONDS + "')",
    "instant": "strftime(make_timestamp(epoch_us({0})), '" + _SECONDS + "') || '+00'",
    "interval": "cast(epoch_us({0}) as varchar)",
    "json": "cast({0} as varchar)",
    "nested": "cast(to_json({0}) as varchar)",
}
# DuckDB writes no zero before the point for a type without digits there
_FRACTION: LiteralString = (
    "case when {0} like '.%' then '0' || {0} when {0} like '-.%' then '-0' || substr({0}, 2)"
    " else {0} end"
)
_ESCAPED: LiteralString = (
    "case when regexp_matches({0}, '[\\\\\\t\\n\\r]') then replace(replace(replace(replace({0},"
    " chr(92), repeat(chr(92), 2)), chr(9), chr(92) || 't'), chr(10), chr(92) || 'n'),"
    " chr(13), chr(92) || 'r') else {0} end"
)
_BITS: LiteralString = (
    "case when isnan({0}) then {1} else lower(hex(cast(cast({0} as bit) as blob))) end"
)
_NO_NUMBERS = {32: "7fc00000", 64: "7ff8000000000000"}  # as PostgreSQL writes it


def value(field: Field) -> sql.Composable:
    """The column, cast if the user has chosen another type."""
    _, cast, type_ = field.form.partition(CAST)
    column = names(field.name)
    return sql.SQL("cast({} as {})").format(column, verbatim(type_)) if cast else column


def text(field: Field) -> sql.Composable:
    """The text of a value; NULL if it is NULL."""
    form, type_ = field.form.partition(CAST)[0], field.type
    if form.startswith(OWN):
        return sql.SQL(field.form.removeprefix(OWN)).format(names(field.name))
    made = sql.SQL(_TEXTS[form]).format(value(field))
    if type_.sort is Sort.DECIMAL and type_.precision == type_.scale and type_.scale:
        return sql.SQL(_FRACTION).format(made)
    return made


def line(fields: Sequence[Field]) -> sql.Composable:
    """A line of COPY, with its line end."""
    parts = [sql.SQL("coalesce({}, chr(92) || 'N')").format(_sent(one)) for one in fields]
    return sql.SQL("{} || chr(10)").format(listed(parts, " || chr(9) || "))


def _sent(field: Field) -> sql.Composable:
    match field.type.sort:
        case Sort.TEXT | Sort.ENUM | Sort.JSON:
            return sql.SQL(_ESCAPED).format(text(field))
        case Sort.BYTES:
            return sql.SQL("repeat(chr(92), 2) || 'x' || {}").format(text(field))
        case Sort.INTERVAL:
            return sql.SQL("cast({} as varchar)").format(value(field))
    return text(field)


def hashed(field: Field) -> sql.Composable:
    """The hashed text of a value; NULL if it is NULL."""
    match field.type.sort:
        case Sort.TEXT | Sort.ENUM:
            return sql.SQL("strlen({0}) || ':' || {0}").format(text(field))
        case Sort.FLOAT:
            return sql.SQL(_BITS).format(value(field), sql.Literal(_NO_NUMBERS[field.type.bits]))
    return text(field)


def row_text(fields: Sequence[Field]) -> sql.Composable:
    parts = [sql.SQL("'|' || coalesce({}, 'N')").format(hashed(one)) for one in fields]
    return listed(parts, " || ")
