"""Reads an input's values strictly: a value that does not fit exactly is refused, because engines
themselves would round, cut or store anything. Leaves to the engine as what it stores them. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from windlass.engines.incoming.refusing import Fault, shown
from windlass.model.load import TableColumn

Plain = int | float | str | bytes

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = re.compile(_TIME, re.ASCII)
_MOMENT = re.compile(rf"\d{{4}}-\d\d-\d\d([T ]{_TIME}(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_ZERO = re.compile(r"[+-]?[0.]*([eE].*)?")
_EXACT_IN_FLOAT = 2**53


class Unfit(ValueError):
    """A value that the column cannot hold. The text says why, without the value."""


def converted(
    field: str,
    given: Sequence[Any],
    convert: Callable[[Any], Any],
    faults: dict[int, list[Fault]],
    *,
    not_null: bool,
) -> list[Any]:
    """The values of a batch as they are stored. `faults` gets those that do not fit, by their place
    in the batch."""
    made: list[Any] = []
    for at, value in enumerate(given):
        try:
            if value is None and not_null:
                raise Unfit("is NULL, and the column is NOT NULL")
            made.append(None if value is None else convert(value))
        except Unfit as error:
            made.append(None)
            text = None if value is None else shown(value)
            faults.setdefault(at, []).append(Fault(field, str(error), text))
    return made


def plain(value: Any) -> Plain:
    """A value of Arrow's as a number, a text or bytes: exact."""
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


def written(value: Plain) -> str:
    """The value as text; bytes are not text."""
    if isinstance(value, bytes):
        raise Unfit("bytes, and the column has none")
    return value if isinstance(value, str) else repr(value)


def float_of(value: Plain) -> float:
    """It may be infinite, or NaN."""
    if isinstance(value, int) and abs(value) > _EXACT_IN_FLOAT and int(float(value)) != value:
        raise Unfit("cannot be stored exactly as a number with a fraction")
    text = written(value)
    if _INFINITE.fullmatch(text) or text.lower() == "nan":
        return float(text)
    if not NUMBER.fullmatch(text):
        raise Unfit("not a number")
    number = float(text)
    if math.isinf(number) or (number == 0 and not _ZERO.fullmatch(text)):
        raise Unfit("out of range for a number of 64 bits")
    return number


def decimal_of(value: Plain, otherwise: str = "not a number") -> Decimal:
    text = written(value)
    if not NUMBER.fullmatch(text):
        raise Unfit(otherwise)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Unfit("out of range") from None


def check_digits(number: Decimal, column: TableColumn) -> None:
    """Zeros at the end do not count."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    significant = len("".join(map(str, digits)).rstrip("0"))
    if number and significant - len(digits) - exponent > column.scale:
        raise Unfit(f"more than {column.scale} digits after the point")
    if number and number.adjusted() + 1 > column.precision - column.scale:
        raise Unfit(f"too large for {column.type}")


def boolean_of(value: Plain) -> bool:
    text = written(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise Unfit("not true or false")
    return text in _TRUE


def text_of(value: Plain, column: TableColumn) -> str:
    text = written(value)
    if "\0" in text:
        raise Unfit("NUL in text")
    if column.longest and len(text) > column.longest:
        raise Unfit(f"longer than {column.longest} characters")
    return text


def bytes_of(value: Plain) -> bytes:
    if isinstance(value, bytes):
        return value
    text = written(value)
    try:
        return bytes.fromhex(text[2:] if text.startswith("\\x") else "-")
    except ValueError:
        raise Unfit("not bytes in hexadecimal digits after \\x") from None


def date_of(value: Plain) -> date:
    text = written(value)
    if not _DATE.fullmatch(text):
        raise Unfit("not a date such as 2024-12-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unfit("there is no such date") from None


def time_of(value: Plain, check: Callable[[str], None]) -> time:
    """`check` refuses digits of a second that would be lost."""
    text = written(value)
    if not _CLOCK.fullmatch(text):
        raise Unfit("not a time such as 23:59:59")
    check(text)
    return time.fromisoformat(text)


def moment_of(value: Plain, check: Callable[[str], None]) -> datetime:
    """With a time zone if the value has one. `check` is as in `time_of`."""
    text = written(value)
    if not _MOMENT.fullmatch(text):
        raise Unfit("not a timestamp such as 2024-12-31 23:59:59")
    check(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Unfit("there is no such moment") from None


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Unfit("there is no such moment") from None
