"""Functions that sessions with an SQLite file get, to make and check values where its own functions
cannot, or not exactly. Each takes and returns single values. NULL is only passed to conditions, for
which it does not count."""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from zoneinfo import ZoneInfo

from windlass.engines.jsonb_text import jsonb_text, printed

Value = int | float | str | bytes
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)")
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_EXPONENT = 1000  # of a decimal; larger ones are not meant seriously
_EXACT = 1 << 53


class Misfit(ValueError):
    """A value does not have this form."""


def _exact(value: Value) -> Decimal:
    """The number, or the number in a text, with the fewest digits that identify it."""
    if isinstance(value, bytes):
        raise Misfit
    text = repr(value) if isinstance(value, float) else str(value)
    if not _NUMBER.fullmatch(text):
        raise Misfit
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Misfit from None
    if abs(number.adjusted()) > _MOST_EXPONENT:
        raise Misfit
    return number


def decimal(value: Value, scale: int) -> str:
    """A decimal without an exponent; with all digits of a scale, or as many as are significant."""
    number = _exact(value)
    if not number:
        number = abs(number)  # there is no negative zero
    text = format(number, "f")
    whole, _, rest = text.partition(".")
    rest = rest.rstrip("0").ljust(scale, "0")
    return f"{whole}.{rest}" if rest else whole


def _fits_decimal(value: Value, precision: int, scale: int) -> bool:
    _, _, rest = (text := decimal(value, scale)).partition(".")
    whole = text.partition(".")[0].lstrip("-0")
    return not precision or (len(rest) <= scale and len(whole) <= precision - scale)


def integer(value: Value) -> int:
    number = _exact(value)
    if number != number.to_integral_value():
        raise Misfit
    return int(number)


def _fits_integer(value: Value, bits: int) -> bool:
    return -(1 << bits - 1) <= integer(value) < 1 << bits - 1


def double(value: Value) -> float:
    if isinstance(value, bytes):
        raise Misfit
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise Misfit
    try:
        return float(value)
    except OverflowError:
        raise Misfit from None


def _fits_float(value: Value, bits: int) -> bool:
    """Whether a text is how a double is written: with the fewest digits, or with seventeen."""
    number = double(value)
    if isinstance(value, int) and abs(value) > _EXACT and int(number) != value:
        return False
    if isinstance(value, str) and _exact(value) not in (
        Decimal(repr(number)),
        Decimal(f"{number:.16e}"),
    ):
        return False
    if bits != 32 or number in (float("inf"), float("-inf")):
        return True
    try:
        return bool(struct.unpack(">f", struct.pack(">f", number))[0] == number)
    except OverflowError:
        return False


def bits(value: Value) -> str:
    """The bits of a double, as PostgreSQL's float8send has them."""
    return struct.pack(">d", double(value)).hex()


def instant(value: Value) -> str:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise Misfit
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError:
        raise Misfit from None
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00"


def local(value: Value, zone: str) -> str:
    """A local time in a zone as a moment. If two moments are possible it is the later one, as for
    PostgreSQL; a time that was skipped by the clock is no moment."""
    there = _zone_of(zone)
    try:
        time = datetime.fromisoformat(str(value))
        moment = time.replace(tzinfo=there, fold=1).astimezone(UTC)
        again = moment.astimezone(there).replace(tzinfo=None)
    except OverflowError:
        raise Misfit from None
    if again != time:
        raise Misfit
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00"


_zone_of = cache(ZoneInfo)


def _fits_local(value: Value, zone: str) -> bool:
    return bool(_LOCAL.fullmatch(str(value))) and bool(local(value, zone))


def address(value: Value) -> str:
    """An address as PostgreSQL prints it: for some, the last four bytes are written as IPv4."""
    found = ip_address(str(value))
    if isinstance(found, IPv4Address):
        return str(found)
    if found.scope_id:
        raise Misfit
    head, rest = divmod(int(found), 1 << 32)
    if (head == 0 and rest > 1) or head == 0xFFFF:
        return f"::{'ffff:' if head else ''}{IPv4Address(rest)}"
    return str(IPv6Address(int(found)))


def unix(value: float) -> str:
    """Seconds since 1970 with a fraction, to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=round(Decimal(value) * 1_000_000))
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _fits(convert: Callable[..., Any]) -> Callable[..., int]:
    """A condition for values that can be converted. Bytes are the bytes of a text."""

    def test(value: Value | None, *rest: int | str) -> int:
        if value is None:
            return 0
        try:
            given = value.decode() if isinstance(value, bytes) else value
            return convert(given, *rest) is not False
        except (ValueError, RecursionError):
            return 0

    return test


def add_functions(session: sqlite3.Connection) -> None:
    for name, count, function in (
        ("decimal", 2, decimal),
        ("integer", 1, integer),
        ("float", 1, lambda value: repr(double(value))),
        ("bits", 1, bits),
        ("instant", 1, instant),
        ("unix", 1, unix),
        ("local", 2, local),
        ("address", 1, address),
        ("uuid", 1, uuid),
        ("jsonb", 1, jsonb_text),
        ("doubled", 1, lambda value: printed(value).doubled),
        ("fits_decimal", 3, _fits(_fits_decimal)),
        ("fits_integer", 2, _fits(_fits_integer)),
        ("fits_float", 2, _fits(_fits_float)),
        ("fits_instant", 1, _fits(instant)),
        ("fits_json", 1, _fits(jsonb_text)),
        ("fits_local", 2, _fits(_fits_local)),
        ("fits_address", 1, _fits(address)),
    ):
        session.create_function(f"windlass_{name}", count, function, deterministic=True)


def add_hash(session: sqlite3.Connection, hashed: Callable[[str], str]) -> None:
    """Add a function that hashes texts and whole numbers, whose text is the same everywhere; it
    fails for other values."""

    def hash_of(value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str | int):
            raise TypeError("no text or whole number")
        return hashed(str(value))

    session.create_function("windlass_hash", 1, hash_of, deterministic=True)


FLOAT_FORMAT = "%!.17g"
# doubles that `printf` may not write exactly, and perhaps negative zero
ODD = "not ({0} between 1e-20 and 1e20 or {0} between -1e20 and -1e-20)"

# doubles with at most 120 binary digits after the point, or 60 if they are not small; not negative
# zero, which only its bits show
SIMPLE = "({0} between 1e-20 and 9007199254740991 or {0} between -9007199254740991 and -1e-20)"
SMALL = "({0} > -0.00390625 and {0} < 0.00390625)"
NEGATIVE = "({0} < 0)"
FRACTIONAL = f"not ({SIMPLE} or ({{0}} = 0 and windlass_bits({{0}}) = '0000000000000000'))"


@cache
def is_printed() -> bool:
    """Whether SQLite's `printf` writes digits that identify the double.

    It is faster than a function of ours. Where `long double` has 64 bits or more, it is exact for
    all doubles except `ODD`: of 60,000 doubles of any exponent, 181 were off by one bit, none of
    them between 10**-30 and 10**30 (3.40.1). So this is tested before it is used.
    """
    tried = [(0.1 + at / 7919) * 10.0**exponent for exponent in range(-19, 19) for at in range(25)]
    session = sqlite3.connect(":memory:")
    try:
        query = "select printf(?, ?)"
        texts = [session.execute(query, (FLOAT_FORMAT, one)).fetchone()[0] for one in tried]
    finally:
        session.close()
    return all(float(text) == one for text, one in zip(texts, tried, strict=True))


def float_text() -> str:
    """An expression that writes a double in digits that identify it."""
    if not is_printed():
        return "windlass_float({0})"
    return f"case when {ODD} then windlass_float({{0}}) else printf('{FLOAT_FORMAT}', {{0}}) end"
