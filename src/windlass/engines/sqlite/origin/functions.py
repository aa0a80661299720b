"""What sessions with an SQLite file are given to make and check values that its own functions
cannot, or not exactly. Each takes and returns single values; NULL is not passed to them, except by
conditions, where it does not count."""

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
_MOST_EXPONENT = 1000  # of a decimal that anybody means
_EXACT = 1 << 53


class Misfit(ValueError):
    """A value does not have this form."""


def _exact(value: Value) -> Decimal:
    """A number, or a text of one, in the fewest digits that give the same."""
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
    """Without an exponent; with all digits of a scale, or at least those that count."""
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
    """A text fits if it is how a double is written, in the fewest digits or in seventeen."""
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
    """A time in a zone, as the moment that it is. Of two, the later one, as to PostgreSQL; a time
    that a clock jumped over has none."""
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
    """As PostgreSQL prints it: with the last four bytes of some as IPv4 addresses."""
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
    """A condition: it can be converted. Bytes are those of a text."""

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
    """Of texts and whole numbers, whose text is the same wherever it is written; others fail."""

    def hash_of(value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str | int):
            raise TypeError("no text or whole number")
        return hashed(str(value))

    session.create_function("windlass_hash", 1, hash_of, deterministic=True)


FLOAT_FORMAT = "%!.17g"
# a double that `printf` may not write exactly; so may be a negative zero
ODD = "not (abs({0}) between 1e-20 and 1e20)"

# one that has no more than 120 binary digits after the point, 60 if it is not small; or a zero, but
# no negative one, of which only its bits tell
SIMPLE = "abs({0}) between 1e-20 and 9007199254740991"
SMALL = "abs({0}) < 0.00390625"
FRACTIONAL = f"not ({SIMPLE} or ({{0}} = 0 and windlass_bits({{0}}) = '0000000000000000'))"


@cache
def is_printed() -> bool:
    """Whether SQLite's `printf` writes digits that give the same double.

    It is faster than a function of ours, and exact for all doubles but `ODD` where `long double`
    has 64 bits or more: of 60,000 doubles of any exponent 181 were off by one bit, none of 10**-30
    to 10**30 (3.40.1). So it is tried before it is used.
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
    """An expression for a double in digits that give the same double."""
    if not is_printed():
        return "windlass_float({0})"
    return f"case when {ODD} then windlass_float({{0}}) else printf('{FLOAT_FORMAT}', {{0}}) end"
