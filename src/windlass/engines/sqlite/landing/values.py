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
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from windlass.engines.sqlite.types import EXACT_IN_FLOAT, Affinity, affinity_of
from windlass.model.export import Kind
from windlass.model.load import TableColumn

Plain = int | float | str | bytes
Convert = Callable[[Plain], Plain]

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = re.compile(_TIME, re.ASCII)
_MOMENT = re.compile(rf"\d{{4}}-\d\d-\d\d([T ]{_TIME}(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
_FRACTION = re.compile(r"\.\d{7,}")
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_FALSE_ZERO = re.compile(r"[+-]?[0.]*([eE].*)?")


class Unfit(ValueError):
    """A value that the column cannot hold. The text says why, without the value."""


def plain(value: Any) -> Plain:
    """A value of Arrow's as one of SQLite's classes: exact."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | str() | bytes():
            return value
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


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
            return lambda value: _text(value, column)
        case Kind.BYTES:
            return _bytes
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


def _written(value: Plain) -> str:
    """The value as text; bytes are not text."""
    if isinstance(value, bytes):
        raise Unfit("bytes, and the column has none")
    return value if isinstance(value, str) else repr(value)


def _integer(value: Plain) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_IN_FLOAT:
        value = int(value)
    text = _written(value)
    if not _INTEGER.fullmatch(text):
        raise Unfit("not an integer")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise Unfit("out of range for an integer of 64 bits")
    return number


def _float(value: Plain) -> float:
    if isinstance(value, int) and abs(value) > EXACT_IN_FLOAT and int(float(value)) != value:
        raise Unfit("cannot be stored exactly as a number with a fraction")
    text = _written(value).strip() if isinstance(value, float) else _written(value)
    if _INFINITE.fullmatch(text):
        return float(text)
    if text.lower() == "nan":
        raise Unfit("NaN, which SQLite cannot store")
    if not _NUMBER.fullmatch(text):
        raise Unfit("not a number")
    number = float(text)
    if math.isinf(number) or (number == 0 and not _FALSE_ZERO.fullmatch(text)):
        raise Unfit("out of range for a number of 64 bits")
    return number


def _boolean(value: Plain) -> int:
    text = _written(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise Unfit("not true or false")
    return int(text in _TRUE)


def _decimal(value: Plain, column: TableColumn) -> int | float:
    text = _written(value)
    if not _NUMBER.fullmatch(text):
        raise Unfit("not a number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unfit("out of range") from None
    if column.precision:
        _check_digits(number, column)
    if number == number.to_integral_value() and -(1 << 63) <= number < 1 << 63:
        return int(number)
    stored = float(number)
    if Decimal(repr(stored)) != number:
        raise Unfit("has more digits than SQLite can store exactly")
    return stored


def _check_digits(number: Decimal, column: TableColumn) -> None:
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = len("".join(map(str, digits)).rstrip("0"))
    if significant - len(digits) - exponent > column.scale:
        raise Unfit(f"more than {column.scale} digits after the point")
    if number and number.adjusted() + 1 > column.precision - column.scale:
        raise Unfit(f"too large for {column.type}")


def _text(value: Plain, column: TableColumn) -> str:
    text = _written(value)
    if "\0" in text:
        raise Unfit("NUL in text")
    if column.longest and len(text) > column.longest:
        raise Unfit(f"longer than {column.longest} characters")
    return text


def _bytes(value: Plain) -> bytes:
    if isinstance(value, bytes):
        return value
    text = _written(value)
    if not text.startswith("\\x"):
        raise Unfit("not bytes in hexadecimal digits after \\x")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise Unfit("not bytes in hexadecimal digits after \\x") from None


def _date(value: Plain) -> str:
    text = _written(value)
    if not _DATE.fullmatch(text):
        raise Unfit("not a date such as 2024-12-31")
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Unfit("there is no such date") from None


def _time(value: Plain) -> str:
    text = _written(value)
    if not _CLOCK.fullmatch(text):
        raise Unfit("not a time such as 23:59:59")
    _check_fraction(text)
    return time.fromisoformat(text).isoformat()


def _timestamp(value: Plain) -> str:
    text = _written(value)
    if not _MOMENT.fullmatch(text):
        raise Unfit("not a timestamp such as 2024-12-31 23:59:59")
    _check_fraction(text)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Unfit("there is no such moment") from None
    return moment.isoformat(sep=" ")


def _check_fraction(text: str) -> None:
    if _FRACTION.search(text):
        raise Unfit("more than 6 digits of a second")


def _uuid(value: Plain) -> str:
    text = _written(value)
    try:
        if len(text) in (32, 36):
            return str(UUID(text))
    except ValueError:
        pass
    raise Unfit("not a UUID")


def _json(value: Plain) -> Plain:
    text = _written(value)
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
        if _NUMBER.fullmatch(value.strip()):
            number = float(value)
            written = str(int(value)) if _INTEGER.fullmatch(value.strip()) else repr(number)
            if written != value or (number.is_integer() and "." in value):
                raise Unfit("would be stored as a number: declare the column as TEXT")
    return value


def _as_it_is(value: Plain) -> Plain:
    if isinstance(value, str) and "\0" in value:
        raise Unfit("NUL in text")
    return value
