"""Converts SQLite's values to a type that the user specified. Pure, and strict: a value that does
not fit the type exactly is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from windlass.engines.sqlite.types import EXACT_IN_FLOAT
from windlass.model.export import Column, Kind

Raw = int | float | bytes
_TIME = r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_TEXTS = {
    Kind.DATE: re.compile(r"\d{4}-\d\d-\d\d"),
    Kind.TIME: re.compile(_TIME),
    Kind.TIMESTAMP: re.compile(rf"\d{{4}}-\d\d-\d\d([T ]{_TIME})?"),
    Kind.INSTANT: re.compile(rf"\d{{4}}-\d\d-\d\d[T ]{_TIME}(Z|[+-]\d\d:\d\d)"),
}
_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def converter(column: Column) -> Callable[[Raw], Any]:
    """A function that converts one value to the column's type, or raises ValueError."""
    if column.kind is Kind.DECIMAL:
        return lambda value: _decimal(value, column)
    return _CONVERTERS[column.kind]


def _boolean(value: Raw) -> bool:
    if isinstance(value, bytes) or value not in (0, 1):
        raise ValueError
    return bool(value)


def _integer(value: Raw) -> int:
    number = int(_numeric(value))
    if isinstance(value, float) and number != value:
        raise ValueError
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError
    return number


def _numeric(value: Raw) -> int | float | str:
    """A decimal from a number, or from the text of one."""
    if not isinstance(value, bytes):
        return value
    if not _NUMBER.fullmatch(value):
        raise ValueError
    return value.decode()


def _float(value: Raw) -> float:
    """A float. A text is accepted if it is how a float is written: with the fewest digits, or with
    seventeen."""
    if isinstance(value, int) and abs(value) > EXACT_IN_FLOAT:
        raise ValueError
    given = _numeric(value)
    number = float(given)
    if isinstance(given, str):
        written = {Decimal(repr(number)), Decimal(f"{number:.16e}")}
        if _exact(given) not in written:
            raise ValueError
    return number


def _exact(given: int | float | str) -> Decimal:
    try:
        return Decimal(given)
    except InvalidOperation:  # its exponent is too large
        raise ValueError from None


def _decimal(value: Raw, column: Column) -> Decimal:
    """A decimal. Reals are refused: a decimal that was stored as a real has lost its exact
    value."""
    if isinstance(value, float):
        raise ValueError
    number = _exact(_numeric(value))
    if not number:
        return Decimal(0)
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).rstrip("0")
    scale = len(significant) - len(digits) - exponent
    whole = len(digits) + exponent
    if scale > column.scale or whole > column.precision - column.scale:
        raise ValueError
    return number


def _text(value: Raw) -> str:
    if not isinstance(value, bytes):
        raise ValueError
    return value.decode()


def _json(value: Raw) -> str:
    text = _text(value)
    try:
        json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError from None  # too deep to be checked
    return text


def _no_constant(_: str) -> None:
    raise ValueError  # NaN and Infinity are Python's, not JSON's


def _uuid(value: Raw) -> bytes:
    """A UUID from text. Sixteen bytes are selected as text: see
    `windlass.engines.sqlite.describing`."""
    return UUID(_text(value)).bytes


def _bytes(value: Raw) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError
    return value


def _shaped(value: Raw, kind: Kind) -> str:
    text = _text(value)
    if not _TEXTS[kind].fullmatch(text):
        raise ValueError
    return text


def _date(value: Raw) -> date:
    return date.fromisoformat(_shaped(value, Kind.DATE))


def _time(value: Raw) -> time:
    return time.fromisoformat(_shaped(value, Kind.TIME))


def _timestamp(value: Raw) -> datetime:
    if isinstance(value, int):
        return _instant(value).replace(tzinfo=None)
    return datetime.fromisoformat(_shaped(value, Kind.TIMESTAMP))


def _instant(value: Raw) -> datetime:
    """A moment; an integer counts seconds since 1970."""
    if isinstance(value, int):
        try:
            return _EPOCH + timedelta(seconds=value)
        except OverflowError:
            raise ValueError from None
    return datetime.fromisoformat(_shaped(value, Kind.INSTANT))


_CONVERTERS: dict[Kind, Callable[[Raw], Any]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INT64: _integer,
    Kind.FLOAT64: _float,
    Kind.TEXT: _text,
    Kind.JSON: _json,
    Kind.UUID: _uuid,
    Kind.BYTES: _bytes,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _timestamp,
    Kind.INSTANT: _instant,
}
