"""Values that are hard to move: how each engine is given them, and what they are in PostgreSQL.

Any type that shows the value is right: a time longer than a day may be an interval or a text.
"""

import json
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

Same = Callable[[str | None], bool]


@dataclass(frozen=True, slots=True)
class Hard:
    """A column of this type, with values in the engine's SQL; each with what is the same of what
    PostgreSQL prints."""

    type: str
    values: Sequence[tuple[str, Same]]


def _is_null(found: str | None) -> bool:
    return found is None


def text(expected: str) -> Same:
    return lambda found: found == expected


def number(expected: str) -> Same:
    def same(found: str | None) -> bool:
        with suppress(InvalidOperation):
            return found is not None and Decimal(_as_number(found)) == Decimal(expected)
        return False

    return same


def _as_number(found: str) -> str:
    return {"true": "1", "false": "0", "t": "1", "f": "0"}.get(found, found)


def double(expected: float) -> Same:
    """As many digits as make the same double."""

    def same(found: str | None) -> bool:
        with suppress(ValueError):
            return found is not None and float(found) == expected
        return False

    return same


def single(expected: float) -> Same:
    """As many digits as make the same number of four bytes."""

    def same(found: str | None) -> bool:
        with suppress(ValueError, OverflowError):
            return found is not None and _four_bytes(float(found)) == _four_bytes(expected)
        return False

    return same


def _four_bytes(value: float) -> bytes:
    return struct.pack(">f", value)


def moment(expected: str) -> Same:
    """A time of a zone is the same as that moment in UTC."""

    def same(found: str | None) -> bool:
        with suppress(ValueError):
            return found is not None and _moment(found) == _moment(expected)
        return False

    return same


def _moment(shown: str) -> datetime:
    found = datetime.fromisoformat(shown)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def either(*some: Same) -> Same:
    return lambda found: any(one(found) for one in some)


_SPAN = re.compile(
    r"(?P<sign>-)?(?:(?P<days>-?\d+) days? ?)?"
    r"(?P<minus>-)?(?:(?P<h>\d+):(?P<m>\d\d):(?P<s>[\d.]+))?"
)


def span(expected: str) -> Same:
    """Hours, minutes and seconds, of any number of hours."""

    def same(found: str | None) -> bool:
        return found is not None and _span(found) == _span(expected)

    return same


def _span(shown: str) -> timedelta | None:
    match = _SPAN.fullmatch(shown)
    if not match or not shown:
        return None
    part = timedelta(hours=int(match["h"] or 0), minutes=int(match["m"] or 0))
    part += timedelta(microseconds=int(Decimal(match["s"] or 0) * 1_000_000))
    part = -part if match["minus"] or match["sign"] else part
    return timedelta(days=int(match["days"] or 0)) + part


def data(expected: str) -> Same:
    """Bytes, in hexadecimal digits."""
    return lambda found: found == f"\\x{expected}"


def document(expected: str) -> Same:
    """JSON with the same numbers, to their last digit."""

    def same(found: str | None) -> bool:
        with suppress(ValueError):
            return found is not None and _document(found) == _document(expected)
        return False

    return same


def _document(shown: str) -> object:
    return json.loads(shown, parse_float=Decimal)


def labels(*expected: str) -> Same:
    """A set: an array, or its labels with commas."""
    return either(text("{" + ",".join(expected) + "}"), text(",".join(expected)))


def impossible(_: str | None) -> bool:
    """PostgreSQL has no such value: it can only be refused, or its loss accepted by a person."""
    return False


TEXTS = ("tab\there", "line\nbreak", "back\\slash", "\\N", "", "é€😀", " a ", "\r\n")


def _quoted(shown: str) -> str:
    return f"cast(x'{shown.encode().hex()}' as text)"


SQLITE = (
    Hard("integer", [(str(one), number(str(one))) for one in ((1 << 63) - 1, -(1 << 63))]),
    Hard("int8", [("300", number("300")), ("-5", number("-5"))]),
    Hard("int", [("3000000000", number("3000000000")), ("null", _is_null)]),
    Hard("smallint", [("70000", number("70000"))]),
    Hard("real", [("0.1 + 0.2", double(0.1 + 0.2)), ("1e300", double(1e300))]),
    Hard("real", [("9e999", double(float("inf"))), ("5e-324", double(5e-324))]),
    Hard("float", [(str(one), double(one)) for one in (16777217.0, 123456.789012345)]),
    Hard("double", [("-1.7976931348623157e308", double(-1.7976931348623157e308))]),
    Hard("decimal(10,2)", [("12.3", number("12.3")), ("99999999.99", number("99999999.99"))]),
    Hard("decimal(10,2)", [("12.345", number("12.345"))]),
    Hard("numeric", [(one, number(one)) for one in ("12345678901234567", "0.000001")]),
    Hard("integer", [("5", text("5")), ("'x'", text("x"))]),
    Hard("integer", [("5", number("5")), ("2.5", number("2.5"))]),
    Hard("text", [("'12'", text("12")), ("x'0aff'", data("0aff"))]),
    Hard("varchar(3)", [("'longer'", text("longer"))]),
    Hard("text", [(_quoted(one), text(one)) for one in TEXTS]),
    Hard("text", [("'a' || char(0) || 'b'", impossible)]),
    Hard("text", [("cast(x'61ff62' as text)", data("61ff62"))]),
    Hard("blob", [("x'00ff5c'", data("00ff5c")), ("x''", data(""))]),
    Hard("boolean", [("0", number("0")), ("1", number("1"))]),
    Hard("boolean", [("1", number("1")), ("2", number("2"))]),
    Hard("date", [(f"'{one}'", moment(one)) for one in ("0001-01-01", "9999-12-31", "2026-11-29")]),
    Hard("date", [("'2026-02-31'", text("2026-02-31"))]),
    Hard("date", [("'2026-11-29 01:02:03'", moment("2026-11-29 01:02:03"))]),
    Hard("datetime", [("'2026-11-29 10:11:12.123456'", moment("2026-11-29 10:11:12.123456"))]),
    Hard("datetime", [("'2026-11-29T10:11:12+02:00'", moment("2026-11-29 10:11:12+02:00"))]),
    Hard("datetime", [("20200101", number("20200101"))]),
    Hard(
        "datetime",
        [("1700000000", either(number("1700000000"), moment("2023-11-14 22:13:20")))],
    ),
    Hard("datetime", [("2460277.5", either(number("2460277.5"), moment("2023-11-29 00:00:00")))]),
    Hard("time", [("'23:59:59.999999'", span("23:59:59.999999"))]),
    Hard("json", [("""'{"b": 1.50, "a": [null, 12345678901234567890]}'""",
                   document('{"b": 1.50, "a": [null, 12345678901234567890]}'))]),
    Hard("uuid", [("'0123456789ABCDEF0123456789abcdef'",
                   either(text("01234567-89ab-cdef-0123-456789abcdef"),
                          text("0123456789ABCDEF0123456789abcdef")))]),
    Hard("", [("5", text("5")), ("1.5", text("1.5")), ("'x'", text("x"))]),
)  # fmt: skip
MARIADB = (
    Hard("int unsigned", [("4294967295", number("4294967295"))]),
    Hard("bigint unsigned", [("18446744073709551615", number("18446744073709551615"))]),
    Hard("bigint", [("-9223372036854775808", number("-9223372036854775808"))]),
    Hard("tinyint(1)", [("0", number("0")), ("1", number("1")), ("null", _is_null)]),
    Hard("tinyint(1)", [("1", number("1")), ("2", number("2")), ("-128", number("-128"))]),
    Hard("bit(1)", [("b'1'", either(number("1"), text("true")))]),
    Hard("bit(10)", [("b'1000000001'", text("1000000001"))]),
    Hard("year", [("2026", number("2026")), ("0", number("0"))]),
    Hard("decimal(65,30)", [(f"'{one}'", number(one)) for one in (
        "12345678901234567890123456789012345.123456789012345678901234567891",
        "-0.000000000000000000000000000001",
    )]),
    Hard("decimal(20,0)", [("'12345678901234567890'", number("12345678901234567890"))]),
    Hard("float", [("16777216", single(16777216)), ("123456.7890625", single(123456.7890625))]),
    Hard("double", [(str(one), double(one)) for one in (0.1, 1.7976931348623157e308)]),
    Hard("date", [("'0000-00-00'", impossible)]),
    Hard("date", [("'2020-00-00'", impossible)]),
    Hard("date", [("'2020-02-31'", impossible)]),
    Hard("datetime", [("'0000-00-00 00:00:00'", impossible)]),
    Hard("date", [(f"'{one}'", moment(one)) for one in ("1000-01-01", "9999-12-31")]),
    Hard("datetime(6)", [("'2026-11-29 10:11:12.123456'", moment("2026-11-29 10:11:12.123456"))]),
    Hard("datetime", [("'9999-12-31 23:59:59'", moment("9999-12-31 23:59:59"))]),
    Hard("timestamp(6)", [("'2026-11-29 10:11:12.123456'", moment("2026-11-29 10:11:12.123456"))]),
    Hard("time(6)", [(f"'{one}'", span(one)) for one in ("10:11:12.000001", "00:00:00.000000")]),
    Hard("time", [(f"'{one}'", span(one)) for one in ("838:59:59", "-838:59:59", "-00:00:01")]),
    Hard("enum('new','paid')", [("'paid'", text("paid")), ("'new'", text("new"))]),
    Hard("enum('new','paid')", [("0", impossible)]),
    Hard("set('a','b','c')", [("'a,c'", labels("a", "c")), ("''", either(text("{}"), text("")))]),
    Hard("json", [("""'{"b": 1.50, "a": [null, 12345678901234567890]}'""",
                   document('{"b": 1.50, "a": [null, 12345678901234567890]}'))]),
    Hard("longtext", [(f"x'{one.encode().hex()}'", text(one)) for one in TEXTS]),
    Hard("varchar(20)", [(f"x'{one.encode().hex()}'", text(one)) for one in TEXTS]),
    Hard("text", [("x'610062'", impossible)]),
    Hard("varchar(9) character set latin1", [("x'80e9'", text("€é"))]),
    Hard("varchar(9) character set utf16", [("x'00e9d83dde00'", text("é😀"))]),
    Hard("char(5)", [("'ab'", text("ab"))]),
    Hard("binary(4)", [("x'0001'", data("00010000")), ("x'ff5c7830'", data("ff5c7830"))]),
    Hard("longblob", [("x'000a5c09'", data("000a5c09")), ("''", data(""))]),
    Hard("uuid", [("'123e4567-e89b-12d3-a456-426655440000'",
                   text("123e4567-e89b-12d3-a456-426655440000"))]),
    Hard("inet6", [("'::ffff:1.2.3.4'",
                    either(text("::ffff:1.2.3.4"), text("::ffff:1.2.3.4/128")))]),
)  # fmt: skip
