"""Converts an input's values to the type of a column of Snowflake, here and strictly: a value that
does not fit exactly is refused, as Snowflake itself would round or cut some. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

from windlass.engines.incoming.values import (
    Plain,
    Unfit,
    boolean_of,
    bytes_of,
    check_digits,
    date_of,
    decimal_of,
    float_of,
    in_utc,
    moment_of,
    plain,
    text_of,
    time_of,
)
from windlass.model.export import Column, Kind
from windlass.model.load import TableColumn

Convert = Callable[[Any], Any]

_FRACTION = re.compile(r"\.(\d+)")
_ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)$")
_MICROSECONDS = 6  # digits that the files have


def staged_as(column: TableColumn) -> Column:
    """The column in the files that are staged."""
    kind = column.kind or Kind.TEXT
    precision = column.precision if kind is Kind.DECIMAL else 0
    return Column(column.name, column.type, kind, precision=precision, scale=column.scale)


def converter(column: TableColumn) -> Convert:
    """A function that raises Unfit for a value that does not fit."""
    made = _CONVERTERS[column.kind or Kind.TEXT]
    return lambda value: made(plain(value), column)


def can_be(kind: Kind | None) -> bool:
    return kind in _CONVERTERS


def _decimal(value: Plain, column: TableColumn) -> Decimal:
    number = decimal_of(value, "not a number" if column.scale else "not an integer")
    if not column.scale and number != number.to_integral_value():
        raise Unfit("not an integer")
    check_digits(number, column)
    return number


def _float(value: Plain, column: TableColumn) -> float:
    return float_of(value)


def _boolean(value: Plain, column: TableColumn) -> bool:
    return boolean_of(value)


def _bytes(value: Plain, column: TableColumn) -> bytes:
    found = bytes_of(value)
    if column.longest and len(found) > column.longest:
        raise Unfit(f"longer than {column.longest} bytes")
    return found


def _date(value: Plain, column: TableColumn) -> date:
    return date_of(value)


def _time(value: Plain, column: TableColumn) -> time:
    return time_of(value, partial(_check_fraction, column))


def _timestamp(value: Plain, column: TableColumn) -> datetime:
    moment = moment_of(value, partial(_check_fraction, column))
    if moment.tzinfo is not None:
        raise Unfit("has a time zone, and the column has none")
    return moment


def _instant(value: Plain, column: TableColumn) -> datetime:
    moment = moment_of(value, partial(_check_fraction, column))
    if moment.tzinfo is None:
        raise Unfit("has no time zone, and the column needs one")
    return in_utc(moment)


def _check_fraction(column: TableColumn, text: str) -> None:
    most = min(column.precision, _MICROSECONDS)
    found = _FRACTION.search(_ZONE.sub("", text))
    if found and found[1][most:].strip("0"):
        raise Unfit(f"more than {most} digits of a second")


_CONVERTERS: dict[Kind, Callable[[Plain, TableColumn], Any]] = {
    Kind.DECIMAL: _decimal,
    Kind.FLOAT64: _float,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: text_of,
    Kind.BYTES: _bytes,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _timestamp,
    Kind.INSTANT: _instant,
}
