"""How the server writes a column's values as the text of their sort, in its SQL.

A field's `form` is a word for the expression, followed by more words: `null-bad` (a value that the
target's type does not have becomes NULL), `no-nul` (U+0000 is removed) and `long` (a function of
the server could not return the value, so the client escapes and hashes it). Expressions are bytes,
or text in UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import LiteralString

from psycopg import sql

from windlass.engines.jsonb_text import jsonb_text
from windlass.engines.mysql.quoting import Bytes, Quoted, Text, Whole, part
from windlass.model.translation import Field, Sort

# a date that PostgreSQL does not have: year, month or day is 0, or the month has no such day
_BAD_DATE: LiteralString = (
    "(year({0}) = 0 or month({0}) = 0 or dayofmonth({0}) = 0"
    " or dayofmonth({0}) > coalesce(dayofmonth(last_day(date_format({0}, '%Y-%m-01'))), 0))"
)
# FROM_DAYS only makes dates that exist, or 0000-00-00, which TO_DAYS does not take: what comes back
# as it was is a date. That takes a third of the time (MariaDB 10.11: 0.16 instead of 0.46 us).
BAD_DATE: Mapping[str, LiteralString] = {
    "date": f"(case when from_days(to_days({{0}})) = {{0}} then 0 else {_BAD_DATE} end)",
    "datetime": f"(case when from_days(to_days({{0}})) = date({{0}}) then 0 else {_BAD_DATE} end)",
}
_FORMS: Mapping[str, LiteralString] = {
    "plain": "concat({0})",
    "number": "concat({0} + 0)",
    "integer": "concat(cast({0} as decimal(65, 0)))",
    "flag": "elt({0} + 1, 'f', 't')",
    "double": "concat({0} * 1e0)",
    "utf8": "cast({0} as binary)",
    "converted": "cast(convert({0} using utf8mb4) as binary)",
    "mended": "cast(convert(convert({0} using utf16) using utf8mb4) as binary)",
    "hex": "lower(hex({0}))",
    "geometry": "lower(substr(hex({0}), 9))",  # without the four bytes of its SRID
    "bits": "conv({0} + 0, 10, 2)",
    "date": "concat({0})",
    "datetime": "concat({0})",
    "uuid": "lower(cast({0} as char(36)))",
    "uuid-digits": (
        "lower(concat(substr({0}, 1, 8), '-', substr({0}, 9, 4), '-', substr({0}, 13, 4), '-',"
        " substr({0}, 17, 4), '-', substr({0}, 21)))"
    ),
    "address": "lower(inet6_ntoa(inet6_aton({0})))",
    "microseconds": (
        "concat(if({0} < 0, '-', ''), abs({0}) div 3600000000, ':',"
        " lpad(abs({0}) div 60000000 mod 60, 2, '0'), ':',"
        " lpad(abs({0}) div 1000000 mod 60, 2, '0'), '.', lpad(abs({0}) mod 1000000, 6, '0'))"
    ),
    "uuid-bytes": (
        "lower(concat(substr(hex({0}), 1, 8), '-', substr(hex({0}), 9, 4), '-',"
        " substr(hex({0}), 13, 4), '-', substr(hex({0}), 17, 4), '-', substr(hex({0}), 21)))"
    ),
}
_BAD: Mapping[str, LiteralString] = {
    **BAD_DATE,
    "label": "{0} + 0 = 0",  # of an enum: the server's word for an invalid value
}
_ESCAPED = (  # COPY's text format; the backslash first
    (b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"),
)  # fmt: skip
_NEEDS_ESCAPING = {Sort.TEXT, Sort.ENUM, Sort.SET, Sort.JSON}
_MAY_BE_LONG = _NEEDS_ESCAPING | {Sort.BYTES}


@dataclass(frozen=True, slots=True)
class Written:
    """An expression, and what the client makes of its value."""

    expression: sql.Composable
    finish: Callable[[bytes], bytes] | None = None


def words(field: Field) -> tuple[str, frozenset[str]]:
    first, *others = field.form.split()
    return first, frozenset(others)


def merges(field: Field) -> bool:
    """Whether different values can become the same one."""
    form, others = words(field)
    return bool({"no-nul"} & others) or form in ("mended", "uuid", "uuid-digits", "address")


def short(field: Field) -> Field:
    """The field as the server writes it if no value is long."""
    return replace(field, form=" ".join(one for one in field.form.split() if one != "long"))


def needs_client(field: Field) -> bool:
    """Whether the server cannot hash the field as PostgreSQL does."""
    return field.type.sort is Sort.JSON or "long" in words(field)[1]


def travelling(field: Field) -> Written:
    """The value as COPY reads it. Never NULL, unless it is too long for the server."""
    others = words(field)[1]
    value = _value(field)
    if "long" in others:
        is_bytes = field.type.sort is Sort.BYTES
        return Written(value, _copied_bytes if is_bytes else escaped)
    match field.type.sort:
        case Sort.BYTES:
            value = part("concat({}, {})", Bytes(b"\\\\x"), value)
        case Sort.SET:
            value = _escaped(_listed(field, '{{"', '","', '"}}', _quoted_in_array(field)))
        case sort if sort in _NEEDS_ESCAPING:
            value = _escaped(value)
    return Written(_or(field, value, Bytes(b"\\N")))


def hashed(field: Field) -> Written:
    """The text that is hashed. NULL if the value is NULL, or too long for the server."""
    value, sort = _value(field), field.type.sort
    if needs_client(field):
        return Written(value, _FINISHED[sort])
    match sort:
        case Sort.TEXT | Sort.ENUM:
            measured = Quoted(field.name) if field.form == "utf8" else value
            value = part("concat(length({}), ':', {})", measured, value)
        case Sort.FLOAT:
            value = _digits(value)
        case Sort.INTERVAL if field.form == "microseconds":
            value = part("concat({} + 0)", Quoted(field.name))
        case Sort.INTERVAL:
            value = _microseconds(Quoted(field.name))
        case Sort.SET:
            value = _listed(field, '["', '","', '"]', _quoted_in_json(field))
    return Written(value)


def in_row(field: Field) -> sql.Composable:
    """The text that is hashed, or N for NULL. NULL if it is too long for the server."""
    return _or(field, hashed(field).expression, Text("N"))


def _or(field: Field, value: sql.Composable, absent: sql.Composable) -> sql.Composable:
    """The value's text, or `absent` for NULL. NULL if the text is too long for the server."""
    if field.type.sort in _MAY_BE_LONG:
        return part("if({}, {}, {})", absence(field), absent, value)
    return part("ifnull({}, {})", value, absent)  # takes a sixth less of the server's time


def absence(field: Field) -> sql.Composable:
    """Whether the value becomes NULL on the target."""
    return _absent(field, Quoted(field.name))


def _absent(field: Field, column: sql.Composable) -> sql.Composable:
    form, others = words(field)
    if "null-bad" not in others:
        return part("({} is null)", column)
    return part("({0} is null or {1})", column, part(_BAD[_kind(form, field)], column))


def _kind(form: str, field: Field) -> str:
    return form if form in _BAD else "label"


def _value(field: Field) -> sql.Composable:
    """The text, or the bytes of a long value; NULL if the value is absent."""
    column, (form, others) = Quoted(field.name), words(field)
    if "long" in others and form in ("hex", "utf8", "converted"):
        return column  # as the server sends it, text in UTF-8
    value: sql.Composable = part(_FORMS[form], column) if form != "decimal" else _decimal(field)
    if "no-nul" in others:
        value = part("replace({}, {}, {})", value, Bytes(b"\0"), Bytes(b""))
    match field.type.sort:
        case Sort.BITS:
            value = part("lpad({}, {}, '0')", value, Whole(field.type.length))
        case Sort.TIME | Sort.TIMESTAMP | Sort.INTERVAL if form != "microseconds":
            value = part("concat({}, {})", value, _zeros(field))
        case Sort.INSTANT:
            value = part("concat({}, {})", value, Text(_missing(field) + "+00"))
    if "null-bad" in others:
        value = part("if({}, null, {})", _absent(field, column), value)
    return value


def _decimal(field: Field) -> sql.Composable:
    return part("concat({})", rescaled(field))


def rescaled(field: Field) -> sql.Composable:
    """The number with the digits of its type."""
    digits = Whole(field.type.precision), Whole(field.type.scale)
    return part("cast({} as decimal({}, {}))", Quoted(field.name), *digits)


def _missing(field: Field) -> str:
    """The digits of seconds that the column's type lacks."""
    return ".000000" if field.type.digits == 0 else "0" * (6 - field.type.digits)


def _zeros(field: Field) -> sql.Composable:
    return Text(_missing(field))


def _escaped(value: sql.Composable) -> sql.Composable:
    for what, by in _ESCAPED:
        value = part("replace({}, {}, {})", value, Bytes(what), Bytes(by))
    return value


def _digits(value: sql.Composable) -> sql.Composable:
    """See `Sort.FLOAT`: the significant digits, e, and the exponent of the first one. The server
    writes 123.45, 0.00015 or 1.5e-7."""
    return part(
        "if(abs({0}) = 0, if(left({0}, 1) = '-', '-0', '0'), concat("
        "if(left({0}, 1) = '-', '-', ''),"
        " trim(both '0' from replace(replace(substring_index({0}, 'e', 1), '.', ''), '-', '')),"
        " 'e',"
        " locate('.', concat(replace(substring_index({0}, 'e', 1), '-', ''), '.')) - 2"
        " - length(replace(replace(substring_index({0}, 'e', 1), '.', ''), '-', ''))"
        " + length(trim(leading '0' from"
        " replace(replace(substring_index({0}, 'e', 1), '.', ''), '-', '')))"
        " + if(locate('e', {0}), substring_index({0}, 'e', -1) + 0, 0)))",
        value,
    )


def _microseconds(column: sql.Composable) -> sql.Composable:
    return part(
        "concat(if({0} < '00:00:00', '-', ''), cast("
        "(hour({0}) * 3600 + minute({0}) * 60 + second({0})) * 1000000 + microsecond({0})"
        " as unsigned))",
        column,
    )


def _listed(
    field: Field, opening: str, between: str, closing: str, value: sql.Composable
) -> sql.Composable:
    """The labels of a set; labels contain no commas."""
    empty = (opening[:-1] + closing[1:]).replace("{{", "{").replace("}}", "}")
    opening, closing = (one.replace("{{", "{").replace("}}", "}") for one in (opening, closing))
    parts = [Text(opening), part("replace({}, ',', {})", value, Text(between)), Text(closing)]
    whole = part("concat({}, {}, {})", *parts)
    return part("if({} + 0 = 0, {}, {})", Quoted(field.name), Text(empty), whole)


def _replaced(value: sql.Composable, pairs: Mapping[str, str], field: Field) -> sql.Composable:
    found = [one for one in pairs if any(one in label for label in field.type.labels)]
    for one in found:
        value = part("replace({}, {}, {})", value, Bytes(one.encode()), Bytes(pairs[one].encode()))
    return value


def _quoted_in_array(field: Field) -> sql.Composable:
    return _replaced(_value(field), {"\\": "\\\\", '"': '\\"'}, field)


def _quoted_in_json(field: Field) -> sql.Composable:
    pairs = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r"}
    pairs["\t"] = "\\t"
    for control in map(chr, range(1, 32)):
        pairs.setdefault(control, f"\\u{ord(control):04x}")
    return _replaced(_value(field), pairs, field)


_SPECIAL = re.compile(rb"[\\\t\n\r]")
_BY = dict(_ESCAPED)


def escaped(text: bytes) -> bytes:
    """As COPY's text format writes it."""
    return _SPECIAL.sub(lambda found: _BY[found[0]], text)


def _copied_bytes(data: bytes) -> bytes:
    return b"\\\\x" + data.hex().encode()


def _with_length(text: bytes) -> bytes:
    return b"%d:%b" % (len(text), text)


def _hashed_json(text: bytes) -> bytes:
    return jsonb_text(text.decode()).encode()


_FINISHED: Mapping[Sort, Callable[[bytes], bytes]] = {
    Sort.TEXT: _with_length,
    Sort.ENUM: _with_length,
    Sort.JSON: _hashed_json,
    Sort.BYTES: lambda data: data.hex().encode(),
}
