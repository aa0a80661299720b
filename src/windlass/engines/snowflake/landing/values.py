"""Converts an input's values to the type of a column of Snowflake, here and strictly: a value that
does not fit exactly is refused, as Snowflake itself would round or cut some. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from windlass.model.export import Column, Kind
from windlass.model.load import TableColumn

Convert = Callable[[Any], Any]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = re.compile(_TIME, re.ASCII)
_MOMENT = re.compile(rf"\d{{4}}-\d\d-\d\d([T ]{_TIME}(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
_FRACTION = re.compile(r"\.(\d+)")
_ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)$")
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_EXACT_IN_FLOAT = 2**53
_ZERO = re.compile(r"[+-]?[0.]*([eE].*)?")
_MICROSECONDS = 6  # digits that the files have


class Unfit(ValueError):
    """A value that the column cannot hold. The text says why, without the value."""


def staged_as(column: TableColumn) -> Column:
    """The column in the files that are staged."""
    kind = column.kind or Kind.TEXT
    precision = column.precision if kind is Kind.DECIMAL else 0
    return Column(column.name, column.type, kind, precision=precision, scale=column.scale)


def converter(column: TableColumn) -> Convert:
    """A function that raises Unfit for a value that does not fit."""
    made = _CONVERTERS[column.kind or Kind.TEXT]
    return lambda value: made(value, column)


def can_be(kind: Kind | None) -> bool:
    return kind in _CONVERTERS


def shown(value: Any) -> str:
    """For people, and as JSON."""
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)


def _written(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            raise Unfit("bytes, and the column has none")
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case int() | float() | UUID():
            return str(value) if not isinstance(value, float) else repr(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _decimal(value: Any, column: TableColumn) -> Decimal:
    text = _written(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise Unfit("not a number" if column.scale else "not an integer")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unfit("out of range") from None
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = len("".join(map(str, digits)).rstrip("0"))
    if number and significant - len(digits) - exponent > column.scale:
        what = f"more than {column.scale} digits after the point"
        raise Unfit(what if column.scale else "not an integer")
    if number and number.adjusted() + 1 > column.precision - column.scale:
        raise Unfit(f"too large for {column.type}")
    return number


def _float(value: Any, column: TableColumn) -> float:
    text = _written(value)
    if isinstance(value, bool):
        raise Unfit("not a number")
    if isinstance(value, int) and abs(value) > _EXACT_IN_FLOAT and int(float(value)) != value:
        raise Unfit("cannot be stored exactly as a number with a fraction")
    if _INFINITE.fullmatch(text) or text.lower() == "nan":
        return float(text)
    if not _NUMBER.fullmatch(text):
        raise Unfit("not a number")
    number = float(text)
    if math.isinf(number) or (number == 0 and not _ZERO.fullmatch(text)):
        raise Unfit("out of range for a number of 64 bits")
    return number


def _boolean(value: Any, column: TableColumn) -> bool:
    text = _written(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise Unfit("not true or false")
    return text in _TRUE


def _text(value: Any, column: TableColumn) -> str:
    text = _written(value)
    if "\0" in text:
        raise Unfit("NUL in text")
    if column.longest and len(text) > column.longest:
        raise Unfit(f"longer than {column.longest} characters")
    return text


def _bytes(value: Any, column: TableColumn) -> bytes:
    if isinstance(value, bytes):
        found = value
    else:
        text = _written(value)
        try:
            found = bytes.fromhex(text[2:] if text.startswith("\\x") else "-")
        except ValueError:
            raise Unfit("not bytes in hexadecimal digits after \\x") from None
    if column.longest and len(found) > column.longest:
        raise Unfit(f"longer than {column.longest} bytes")
    return found


def _date(value: Any, column: TableColumn) -> date:
    text = _written(value)
    if not _DATE.fullmatch(text):
        raise Unfit("not a date such as 2024-12-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unfit("there is no such date") from None


def _time(value: Any, column: TableColumn) -> time:
    text = _written(value)
    if not _CLOCK.fullmatch(text):
        raise Unfit("not a time such as 23:59:59")
    _check_fraction(text, column)
    return time.fromisoformat(text)


def _timestamp(value: Any, column: TableColumn) -> datetime:
    moment = _moment(value, column)
    if moment.tzinfo is not None:
        raise Unfit("has a time zone, and the column has none")
    return moment


def _instant(value: Any, column: TableColumn) -> datetime:
    moment = _moment(value, column)
    if moment.tzinfo is None:
        raise Unfit("has no time zone, and the column needs one")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Unfit("there is no such moment") from None


def _moment(value: Any, column: TableColumn) -> datetime:
    text = _written(value)
    if not _MOMENT.fullmatch(text):
        raise Unfit("not a timestamp such as 2024-12-31 23:59:59")
    _check_fraction(text, column)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Unfit("there is no such moment") from None


def _check_fraction(text: str, column: TableColumn) -> None:
    most = min(column.precision, _MICROSECONDS)
    found = _FRACTION.search(_ZONE.sub("", text))
    if found and found[1][most:].strip("0"):
        raise Unfit(f"more than {most} digits of a second")


_CONVERTERS: dict[Kind, Callable[[Any, TableColumn], Any]] = {
    Kind.DECIMAL: _decimal,
    Kind.FLOAT64: _float,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
    Kind.BYTES: _bytes,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _timestamp,
    Kind.INSTANT: _instant,
}
