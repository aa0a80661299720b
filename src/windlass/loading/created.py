"""Types of columns that a load creates: those of typed fields, or by a census of all values.
Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from windlass.engines.base import MOST_DIGITS
from windlass.model.export import Column, Kind
from windlass.model.load import Field, Table
from windlass.spec.load import OneLoad

TYPES: dict[str, dict[Kind, str]] = {
    "postgresql": {
        Kind.BOOLEAN: "boolean", Kind.INT16: "smallint", Kind.INT32: "integer",
        Kind.INT64: "bigint", Kind.FLOAT32: "real", Kind.FLOAT64: "double precision",
        Kind.DECIMAL: "numeric", Kind.TEXT: "text", Kind.JSON: "jsonb", Kind.UUID: "uuid",
        Kind.BYTES: "bytea", Kind.DATE: "date", Kind.TIME: "time", Kind.TIMESTAMP: "timestamp",
        Kind.INSTANT: "timestamptz", Kind.NESTED: "jsonb",
    },
    "duckdb": {
        Kind.BOOLEAN: "BOOLEAN", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
        Kind.INT64: "BIGINT", Kind.FLOAT32: "FLOAT", Kind.FLOAT64: "DOUBLE",
        Kind.DECIMAL: "DECIMAL", Kind.TEXT: "VARCHAR", Kind.JSON: "JSON", Kind.UUID: "UUID",
        Kind.BYTES: "BLOB", Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP",
        Kind.INSTANT: "TIMESTAMPTZ", Kind.NESTED: "JSON",
    },
    "sqlite": {
        Kind.BOOLEAN: "BOOLEAN", Kind.INT16: "INTEGER", Kind.INT32: "INTEGER",
        Kind.INT64: "INTEGER", Kind.FLOAT32: "REAL", Kind.FLOAT64: "REAL",
        Kind.DECIMAL: "TEXT", Kind.TEXT: "TEXT", Kind.JSON: "TEXT", Kind.UUID: "TEXT",
        Kind.BYTES: "BLOB", Kind.DATE: "DATE", Kind.TIME: "TEXT", Kind.TIMESTAMP: "TIMESTAMP",
        Kind.INSTANT: "TIMESTAMP", Kind.NESTED: "TEXT",
    },
    "snowflake": {
        Kind.BOOLEAN: "BOOLEAN", Kind.INT16: "NUMBER(38,0)", Kind.INT32: "NUMBER(38,0)",
        Kind.INT64: "NUMBER(38,0)", Kind.FLOAT32: "FLOAT", Kind.FLOAT64: "FLOAT",
        Kind.DECIMAL: "NUMBER", Kind.TEXT: "VARCHAR(16777216)", Kind.JSON: "VARCHAR(16777216)",
        Kind.UUID: "VARCHAR(16777216)", Kind.BYTES: "BINARY", Kind.DATE: "DATE",
        Kind.TIME: "TIME(9)", Kind.TIMESTAMP: "TIMESTAMP_NTZ(9)",
        Kind.INSTANT: "TIMESTAMP_TZ(9)", Kind.NESTED: "VARCHAR(16777216)",
    },
}  # fmt: skip
_WITHOUT_LISTS = {"sqlite": "TEXT", "snowflake": "VARCHAR(16777216)"}  # what has their text


Census = Callable[[], Sequence[Field]]
"""Reads all values of the inputs, and gives the fields with types that hold them."""


def types_for(
    spec: OneLoad, fields: Sequence[Field], table: Table | None, engine: str, census: Census
) -> dict[str, str]:
    """By field, the target's type for those that the table has no column for. Text needs a census,
    or a type in the spec."""
    wanted = {one.name: one.column for one in fields if _is_new(one, spec, table)}
    if spec.census and not all(wanted.values()):
        wanted = {one.name: _roomy(one.column) for one in census() if one.name in wanted}
    return {name: type_of(column, engine) for name, column in wanted.items() if column}


def _roomy(column: Column | None) -> Column | None:
    """Decimals with room for larger numbers in the next load."""
    if column and column.kind is Kind.DECIMAL:
        return replace(column, precision=MOST_DIGITS)
    return column


def _is_new(one: Field, spec: OneLoad, table: Table | None) -> bool:
    rule = spec.columns.get(one.name)
    name = (rule.to if rule else "") or one.name
    known = table is not None and table.column(name) is not None
    return not known and name not in spec.types and not (rule and rule.drop)


def type_of(column: Column, engine: str) -> str:
    """The target's type for values of this kind."""
    name = TYPES[engine][column.kind]
    if column.is_list:
        return _WITHOUT_LISTS.get(engine) or f"{name}[]"
    if column.kind is Kind.DECIMAL and engine == "snowflake" and not column.precision:
        return TYPES[engine][Kind.TEXT]  # NUMBER alone has no digits after the point
    if column.kind is Kind.DECIMAL and column.precision and engine != "sqlite":
        return f"{name}({column.precision},{column.scale})"
    return name
