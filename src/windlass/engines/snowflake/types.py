"""Which types columns have in Snowflake, and how staged values become theirs. Pure.

Types are written as DESCRIBE TABLE writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from psycopg import sql

from windlass.engines import fitting
from windlass.engines.statements import verbatim
from windlass.model.export import Column, Export, Kind
from windlass.model.report import Problem

# https://docs.snowflake.com/en/sql-reference/data-types-numeric: NUMBER's scale is at most 37
MOST_SCALE = 37
_TEXT = "VARCHAR(16777216)"  # without a length, VARCHAR has this one
_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INT16: "NUMBER(38,0)",  # like every name for whole numbers
    Kind.INT32: "NUMBER(38,0)",
    Kind.INT64: "NUMBER(38,0)",
    Kind.FLOAT32: "FLOAT",
    Kind.FLOAT64: "FLOAT",
    Kind.TEXT: _TEXT,
    Kind.JSON: _TEXT,
    Kind.UUID: _TEXT,
    Kind.BYTES: "BINARY",  # DESCRIBE TABLE adds the length
    Kind.DATE: "DATE",
    Kind.TIME: "TIME(9)",
    Kind.TIMESTAMP: "TIMESTAMP_NTZ(9)",
    Kind.INSTANT: "TIMESTAMP_TZ(9)",
}
PARSED = ("VARIANT", "ARRAY", "OBJECT")  # types for JSON that is parsed
_FORM = re.compile(r"([A-Z_]+)(?:\((\d+)(?:, ?(\d+))?\))?")
_MICROSECONDS = 6


def type_of(column: Column) -> str:
    """The type of an export's column in a table that a load creates."""
    if column.kind is Kind.DECIMAL:
        return f"NUMBER({column.precision},{column.scale})"
    return _TYPES[column.kind]


def accepts(column: Column, there: str) -> bool:
    """Whether a table's column takes all values of an export's just as one that a load would
    create: texts that may be longer, times with enough digits, JSON that is parsed."""
    form = _FORM.fullmatch(there)
    if form is None:
        return False
    name, length = form[1], int(form[2] or 0)
    if column.kind is Kind.JSON and name in PARSED:
        return True
    if type_of(column) == _TEXT:
        return name == "VARCHAR" and length >= 16_777_216
    if column.kind is Kind.BYTES:
        return name == "BINARY" and length >= 8_388_608
    if column.kind is Kind.INSTANT:
        return name in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ") and length >= _MICROSECONDS
    if column.kind in (Kind.TIMESTAMP, Kind.TIME):
        return name == _TYPES[column.kind].partition("(")[0] and length >= _MICROSECONDS
    return there == type_of(column)


def holds_all(old: str, new: str) -> bool:
    """Whether a column of type `new` holds every value of type `old`, exactly."""
    return fitting.holds_all(_canonical(old), _canonical(new))


def can_become(old: str, new: str) -> bool:
    """Whether ALTER TABLE can make one of the other: lengths and digits grow, but not the digits
    after the point. https://docs.snowflake.com/en/sql-reference/sql/alter-table-column"""
    before, after = _FORM.fullmatch(old), _FORM.fullmatch(new)
    if before is None or after is None or before[1] != after[1]:
        return False
    return before[1] in ("NUMBER", "VARCHAR") and before[3] == after[3] and holds_all(old, new)


def _canonical(type_: str) -> str:
    """PostgreSQL's name for a type."""
    name = type_.replace("NUMBER", "numeric").replace("VARCHAR", "character varying")
    return "double precision" if name == "FLOAT" else name.lower()


def value_of(staged: sql.Composable, column: Column, there: str) -> sql.Composable:
    """What is stored of a staged value in a column of the type that a table has."""
    if column.kind is Kind.JSON and there in PARSED:
        parsed = sql.SQL("parse_json({})").format(staged)
        return parsed if there == "VARIANT" else sql.SQL("{}::{}").format(parsed, verbatim(there))
    return staged


def type_problems(export: Export) -> Iterator[Problem]:
    """What no column of Snowflake can hold."""
    for one in export.columns:
        if one.kind is Kind.DECIMAL and one.scale > MOST_SCALE:
            message = f"{one.name} has {one.scale} digits after the point; Snowflake has"
            hint = f"`cast` it to a type with fewer, or give `text: [{one.origin}]`"
            yield Problem(export.name, f"{message} at most {MOST_SCALE}", hint)
