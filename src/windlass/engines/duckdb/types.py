"""Which types DuckDB's columns get in an export, how they are selected, and which DuckDB types an
export's columns get. Pure.

A type that no other engine can hold exactly is exported as DuckDB's text: integers of 128 bits,
nanoseconds, intervals, nested values.
"""

from __future__ import annotations

import re

from psycopg import sql

from windlass.engines import fitting
from windlass.engines.statements import listed, names, verbatim
from windlass.model.export import Column, Kind, Nested

_KINDS = {
    "BOOLEAN": Kind.BOOLEAN,
    "TINYINT": Kind.INT16,
    "SMALLINT": Kind.INT16,
    "INTEGER": Kind.INT32,
    "BIGINT": Kind.INT64,
    "UTINYINT": Kind.INT16,
    "USMALLINT": Kind.INT32,
    "UINTEGER": Kind.INT64,
    "FLOAT": Kind.FLOAT32,
    "DOUBLE": Kind.FLOAT64,
    "VARCHAR": Kind.TEXT,
    "JSON": Kind.JSON,
    "UUID": Kind.UUID,
    "BLOB": Kind.BYTES,
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP_S": Kind.TIMESTAMP,
    "TIMESTAMP_MS": Kind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Kind.INSTANT,
}
_LISTED = (
    Kind.BOOLEAN, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64, Kind.TEXT,
)  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")
_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INT16: "SMALLINT",
    Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT",
    Kind.FLOAT32: "FLOAT",
    Kind.FLOAT64: "DOUBLE",
    Kind.TEXT: "VARCHAR",
    Kind.JSON: "JSON",
    Kind.UUID: "UUID",
    Kind.BYTES: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.INSTANT: "TIMESTAMP WITH TIME ZONE",
}


def column_of(name: str, type_: str) -> Column:
    """A column of DuckDB's `type_`, as `describe` writes it."""
    if type_ == "UBIGINT":
        return Column(name, type_, Kind.DECIMAL, False, 20, 0)
    if found := _DECIMAL.fullmatch(type_):
        return Column(name, type_, Kind.DECIMAL, False, int(found[1]), int(found[2]))
    of = _KINDS.get(type_.removesuffix("[]"))
    if type_.endswith("[]") and of in _LISTED:
        return Column(name, type_, of, is_list=True)
    kind = None if type_.endswith("[]") else of
    return Column(name, type_, kind or Kind.TEXT, is_cast=kind is None)


def value_of(column: Column) -> sql.Composable:
    """What is selected of a column."""
    name: sql.Composable = names(column.origin)
    if column.cast:
        name = sql.SQL("cast({} as {})").format(name, verbatim(column.cast))
    if column.mask:
        return sql.SQL("case when {} is not null then '***' end").format(name)
    if column.is_cast and column.kind is Kind.JSON:  # a list, for targets without lists
        return sql.SQL("cast(to_json({}) as VARCHAR)").format(name)
    if column.kind is Kind.UUID:
        return sql.SQL("unhex(replace(cast({} as VARCHAR), '-', ''))").format(name)
    type_ = "VARCHAR" if column.kind is Kind.JSON else type_of(column)
    return sql.SQL("cast({} as {})").format(name, verbatim(type_))


def type_of(column: Column) -> str:
    """The type of an export's column in a warehouse."""
    if column.inside:
        return _nested_type(column.inside)
    if column.kind is Kind.DECIMAL:
        return f"DECIMAL({column.precision},{column.scale})"
    return _TYPES[column.kind] + ("[]" if column.is_list else "")


def _nested_type(inside: Nested) -> str:
    if inside.of:
        return type_of(inside.of) + "[]" * inside.dimensions
    fields = listed(
        sql.SQL("{} {}").format(names(one.name), verbatim(type_of(one))) for one in inside.fields
    )
    return f"STRUCT({fields.as_string(None)})"


_CANONICAL = {"FLOAT": "real", "DOUBLE": "double precision", "VARCHAR": "text"}


def holds_all(old: str, new: str) -> bool:
    """Whether a column of type `new` holds every value of type `old`, exactly."""
    return fitting.holds_all(_canonical(old), _canonical(new))


def _canonical(type_: str) -> str:
    """PostgreSQL's name for a type."""
    plain = type_.removesuffix("[]")
    name = _CANONICAL.get(plain, plain.replace("DECIMAL", "numeric").lower())
    return name + type_[len(plain) :]
