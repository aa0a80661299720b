"""Values from a driver as texts of a column's type. A value that does not fit is refused, never
rounded. Pure.

Texts: `windlass.engines.canonical`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from struct import Struct
from typing import Any
from uuid import UUID

from windlass.engines.jsonb_text import NoJsonb, jsonb_text
from windlass.model.translation import Sort, Type

_MOST_DIGITS = 1000
_MOST_CHARACTERS = 500_000_000  # of a value; COPY's lines have 1 GB at most
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DATE = r"(\d{4})-(\d\d)-(\d\d)"
_TIME = r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
_DAY = re.compile(_DATE)
_OF_DAY = re.compile(_TIME)
_MOMENT = re.compile(_DATE + r"(?:[ T]" + _TIME + r")?(?: ?(Z|[+-]\d\d(?::?\d\d)?))?")
_LONG = re.compile(r"(-?)(\d+):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_single = Struct(">f")
_YES, _NO = {"1", "t", "true", "T", "TRUE"}, {"0", "f", "false", "F", "FALSE"}


class Misfit(ValueError):
    """A value that the type cannot hold. The text says what kind it is, without showing it."""


@dataclass(slots=True)
class Notes:
    """What was left out of values."""

    digits: int = 0  # digits after the sixth of a second
    offsets: int = 0  # offsets from UTC that are not zero


Read = Callable[[Any, Notes], str]


def reader(type_: Type) -> Read:
    """A function that converts a value, which is not NULL, to text.

    Raises (what is made):
        Misfit: the type does not have it.
    """
    read = _READERS[type_.sort]
    return lambda value, notes: read(type_, value, notes)


def can_be(type_: Type) -> bool:
    return type_.sort in _READERS


def _named(value: Any) -> str:
    return {
        "str": "text", "bytes": "binary", "bytearray": "binary", "int": "integer",
        "float": "floating-point number", "Decimal": "decimal", "bool": "boolean",
    }.get(type(value).__name__, type(value).__name__)  # fmt: skip


def _number(value: Any) -> Decimal:
    if isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal):
        found = value
    elif isinstance(value, float):
        found = Decimal(repr(value))
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        found = Decimal(value)
    else:
        raise Misfit(_named(value))
    if not found.is_finite():
        raise Misfit("number that is not finite")
    return found


def _boolean(type_: Type, value: Any, notes: Notes) -> str:
    text = str(int(value)) if isinstance(value, bool | int) else value
    if text in _YES:
        return "t"
    if text in _NO:
        return "f"
    raise Misfit(_named(value))


def _integer(type_: Type, value: Any, notes: Notes) -> str:
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise Misfit("text")
    found = _number(value)
    if found.adjusted() > 18 or found != found.to_integral_value():
        raise Misfit(f"{_named(value)} that is not whole, or larger")
    most, whole = 1 << (type_.bits - 1), int(found)
    if not -most <= whole < most:
        raise Misfit(f"{_named(value)} that is larger")
    return str(whole)


def _decimal(type_: Type, value: Any, notes: Notes) -> str:
    found = _number(value)
    if abs(found.adjusted()) > _MOST_DIGITS:
        raise Misfit(f"{_named(value)} with more digits")
    if not type_.precision:
        return f"{found:f}" if found else f"{found.copy_abs():f}"
    text = f"{found.copy_abs():f}"  # `abs` would round to the context's digits
    whole, _, fraction = text.partition(".")
    if fraction[type_.scale :].strip("0"):
        raise Misfit(f"{_named(value)} with more digits after the point")
    whole = whole.lstrip("0")
    if len(whole) > type_.precision - type_.scale:
        raise Misfit(f"{_named(value)} with more digits")
    kept = fraction[: type_.scale].ljust(type_.scale, "0")
    shown = f"{whole or '0'}.{kept}" if type_.scale else whole or "0"
    return f"-{shown}" if found < 0 else shown


def _float(type_: Type, value: Any, notes: Notes) -> str:
    if isinstance(value, float):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = float(value)
        if int(number) != value:
            raise Misfit("integer with more digits")
    else:
        raise Misfit(_named(value))
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    if type_.bits == 32 and not _is_single(number):
        raise Misfit("number of 64 bits")
    return repr(number)


def _is_single(number: float) -> bool:
    """Whether it is a 32-bit number, or the shortest text of one, which some drivers send."""
    try:
        packed = _single.pack(number)
    except OverflowError:
        return False
    if _single.unpack(packed)[0] == number:
        return True
    for digits in range(1, 10):
        shorter = float(f"{number:.{digits}g}")
        if _single.pack(shorter) == packed:
            return shorter == number
    return False


def _text(type_: Type, value: Any, notes: Notes) -> str:
    if isinstance(value, bytes | bytearray):
        raise Misfit("binary")
    text = value if isinstance(value, str) else str(value)
    if type_.is_fixed:
        text = text.rstrip(" ")
    if "\0" in text:
        raise Misfit("text with U+0000")
    if len(text) > _MOST_CHARACTERS:
        raise Misfit("text of more than 500 MB")
    if type_.length and len(text) > type_.length:
        raise Misfit("longer text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Misfit("text with half of a surrogate pair") from None
    return text


def _bytes(type_: Type, value: Any, notes: Notes) -> str:
    if not isinstance(value, bytes | bytearray) or len(value) > _MOST_CHARACTERS:
        raise Misfit(_named(value))
    return value.hex()


def _date(type_: Type, value: Any, notes: Notes) -> str:
    if isinstance(value, datetime):
        if value.time() != time():
            raise Misfit("date with a time")
        value = value.date()
    if isinstance(value, str) and (found := _DAY.fullmatch(value.rstrip())):
        value = _day(found)
    if not isinstance(value, date):
        raise Misfit(_named(value))
    return value.isoformat()


def _day(found: re.Match[str]) -> date:
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise Misfit("date that does not exist") from None


def _fraction(digits: str | None, notes: Notes) -> str:
    if digits and digits[6:].strip("0"):
        notes.digits += 1
    return (digits or "")[:6].ljust(6, "0")


def _time(type_: Type, value: Any, notes: Notes) -> str:
    if isinstance(value, time):
        return value.isoformat("microseconds")
    found = _OF_DAY.fullmatch(value.rstrip()) if isinstance(value, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3]) > 59:
        raise Misfit("time that is none of a day" if isinstance(value, str) else _named(value))
    return f"{found[1]}:{found[2]}:{found[3]}.{_fraction(found[4], notes)}"


def _interval(type_: Type, value: Any, notes: Notes) -> str:
    """Its microseconds."""
    if isinstance(value, time):
        value = value.isoformat()
    found = _LONG.fullmatch(value.rstrip()) if isinstance(value, str) else None
    if found is None:
        raise Misfit(_named(value))
    seconds = int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4])
    micros = seconds * 1_000_000 + int(_fraction(found[5], notes))
    return str(-micros if found[1] else micros)


def _timestamp(type_: Type, value: Any, notes: Notes) -> str:
    moment, offset = _moment(value, notes)
    if offset is not None:
        raise Misfit("time with a zone")
    return moment.isoformat(" ", "microseconds")


def _instant(type_: Type, value: Any, notes: Notes) -> str:
    moment, offset = _moment(value, notes)
    if offset:
        notes.offsets += 1
    try:
        there = moment - (offset or timedelta())
    except OverflowError:
        raise Misfit("time outside of the years 1 to 9999") from None
    return f"{there.isoformat(' ', 'microseconds')}+00"


def _moment(value: Any, notes: Notes) -> tuple[datetime, timedelta | None]:
    """A time, and how far its zone is from UTC, if it has one."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None), timedelta()
        return value, None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day), None
    found = _MOMENT.fullmatch(value.rstrip()) if isinstance(value, str) else None
    if found is None:
        raise Misfit("text that is no time" if isinstance(value, str) else _named(value))
    day = _day(found)
    hours, minutes, seconds = (int(found[at] or 0) for at in (4, 5, 6))
    if hours > 23 or minutes > 59 or seconds > 59:
        raise Misfit("time that does not exist")
    moment = datetime(day.year, day.month, day.day, hours, minutes, seconds)
    moment = moment.replace(microsecond=int(_fraction(found[7], notes)))
    return moment, _offset(found[8])


def _offset(text: str | None) -> timedelta | None:
    if text is None:
        return None
    if text == "Z":
        return timedelta()
    digits = text[1:].replace(":", "").ljust(4, "0")
    found = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -found if text[0] == "-" else found


def _uuid(type_: Type, value: Any, notes: Notes) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _UUID.fullmatch(value.rstrip()):
        return value.rstrip().lower()
    raise Misfit(_named(value))


def _json(type_: Type, value: Any, notes: Notes) -> str:
    try:
        return jsonb_text(value if isinstance(value, str) else "")
    except NoJsonb as error:
        raise Misfit(f"text that jsonb refuses ({error})") from None


_READERS: dict[Sort, Callable[[Type, Any, Notes], str]] = {
    Sort.BOOLEAN: _boolean,
    Sort.INTEGER: _integer,
    Sort.DECIMAL: _decimal,
    Sort.FLOAT: _float,
    Sort.TEXT: _text,
    Sort.BYTES: _bytes,
    Sort.DATE: _date,
    Sort.TIME: _time,
    Sort.TIMESTAMP: _timestamp,
    Sort.INSTANT: _instant,
    Sort.INTERVAL: _interval,
    Sort.JSON: _json,
    Sort.UUID: _uuid,
}
