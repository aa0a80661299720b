"""Converts an input's values to the declared type of an SQLite column. Pure, and strict: a value
that does not fit exactly is refused, because SQLite itself would store anything.

Declarations are read as https://www.sqlite.org/datatype3.html defines. In addition, the length of a
VARCHAR, the digits of a DECIMAL, and dates, times and UUIDs, which are stored as text, are checked.
A moment with a time zone is stored in UTC without it, as SQLite's own date functions write it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

from windlass.engines.incoming.values import (
    NUMBER,
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
    text_of,
    time_of,
    written,
)
from windlass.engines.sqlite.types import EXACT_IN_FLOAT, Affinity, affinity_of
from windlass.model.export import Kind
from windlass.model.load import TableColumn

Convert = Callable[[Plain], Plain]

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_FRACTION = re.compile(r"\.\d{7,}")


def converter(column: TableColumn) -> Convert:
    """A function that raises Unfit for a value that does not fit."""
    affinity = affinity_of(column.type)
    match column.kind:
        case Kind.INT64:
            return _integer
        case Kind.FLOAT64:
            return _float
        case Kind.BOOLEAN:
            return _boolean
        case Kind.DECIMAL:
            return lambda value: _decimal(value, column)
        case Kind.TEXT:
            return lambda value: text_of(value, column)
        case Kind.BYTES:
            return bytes_of
        case Kind.DATE:
            return _date
        case Kind.TIME:
            return _time
        case Kind.TIMESTAMP | Kind.INSTANT:
            return _timestamp
        case Kind.UUID:
            return _uuid
        case Kind.JSON:
            return _json
        case _:
            return _as_it_is if affinity is Affinity.BLOB or not column.type else _kept


def _integer(value: Plain) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_IN_FLOAT:
        value = int(value)
    text = written(value)
    if not _INTEGER.fullmatch(text):
        raise Unfit("not an integer")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise Unfit("out of range for an integer of 64 bits")
    return number


def _float(value: Plain) -> float:
    number = float_of(value)
    if math.isnan(number):
        raise Unfit("NaN, which SQLite cannot store")
    return number


def _boolean(value: Plain) -> int:
    return int(boolean_of(value))


def _decimal(value: Plain, column: TableColumn) -> int | float:
    number = decimal_of(value)
    if column.precision:
        check_digits(number, column)
    if number == number.to_integral_value() and -(1 << 63) <= number < 1 << 63:
        return int(number)
    stored = float(number)
    if Decimal(repr(stored)) != number:
        raise Unfit("has more digits than SQLite can store exactly")
    return stored


def _date(value: Plain) -> str:
    return date_of(value).isoformat()


def _time(value: Plain) -> str:
    return time_of(value, _check_fraction).isoformat()


def _timestamp(value: Plain) -> str:
    moment = moment_of(value, _check_fraction)
    if moment.tzinfo is not None:
        moment = in_utc(moment).replace(tzinfo=None)
    return moment.isoformat(sep=" ")


def _check_fraction(text: str) -> None:
    if _FRACTION.search(text):
        raise Unfit("more than 6 digits of a second")


def _uuid(value: Plain) -> str:
    text = written(value)
    try:
        if len(text) in (32, 36):
            return str(UUID(text))
    except ValueError:
        pass
    raise Unfit("not a UUID")


def _json(value: Plain) -> Plain:
    text = written(value)
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unfit("not JSON") from None
    return _kept(text)


def _no_constant(_: str) -> None:
    raise ValueError  # NaN and Infinity are Python's, not JSON's


def _kept(value: Plain) -> Plain:
    """The value, unless SQLite would change it because the declared type is numeric."""
    if isinstance(value, str):
        if "\0" in value:
            raise Unfit("NUL in text")
        if NUMBER.fullmatch(value.strip()):
            number = float(value)
            written = str(int(value)) if _INTEGER.fullmatch(value.strip()) else repr(number)
            if written != value or (number.is_integer() and "." in value):
                raise Unfit("would be stored as a number: declare the column as TEXT")
    return value


def _as_it_is(value: Plain) -> Plain:
    if isinstance(value, str) and "\0" in value:
        raise Unfit("NUL in text")
    return value
