"""Rows as lines of PostgreSQL's COPY in text format, made by SQLite itself.

Uses `printf`, which takes 60 % of the time of a chain of `||` (3.40.1, 1M rows of 8 columns).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from psycopg import sql

from windlass.engines.sqlite.origin.blocks import Blocks, batches
from windlass.engines.sqlite.origin.forms import form_of, value
from windlass.engines.sqlite.origin.printing import Printed, printed
from windlass.engines.sqlite.origin.ranges import Order
from windlass.engines.sqlite.origin.seen import Seen
from windlass.engines.statements import listed, names, verbatim
from windlass.model.chunk import Range
from windlass.model.translation import Field, Reading, Sort

# Nearly every text has none of the four characters; `replace` would still copy it four times.
_ESCAPED = (
    "case when instr({0}, '\\') or instr({0}, char(9)) or instr({0}, char(10))"
    " or instr({0}, char(13)) then replace(replace(replace(replace({0}, '\\', '\\\\'),"
    " char(9), '\\t'), char(10), '\\n'), char(13), '\\r') else {0} end"
)
_LARGEST_BYTES = 1 << 20  # of rows at once, if they have no numbers


# a double in hexadecimal digits, exact for all except those of `Seen.fractional`
_WHOLE = "cast(abs({0}) as integer)"
_REST = "cast((abs({0}) - cast(abs({0}) as integer)) * 1152921504606846976.0 as integer)"
_HEX = "0x%x.%015x"
_FINER = (
    "case when abs({0}) < 0.00390625 and {0} <> 0 then printf('%015x', cast("
    "(abs({0}) * 1152921504606846976.0 - cast(abs({0}) * 1152921504606846976.0 as integer))"
    " * 1152921504606846976.0 as integer)) else '' end"
)
_SIGNED = "case when {0} < 0 then '-' else '' end"


def line(fields: Sequence[Field], seen: Seen, *, is_hashed: bool = False) -> sql.Composable:
    """A line, with its line end."""
    parts = [
        _hex(field, seen) if is_hashed and field.type.sort is Sort.FLOAT else _part(field, seen)
        for field in fields
    ]
    return printed(parts, between="\t", after="\n")


def _hex(field: Field, seen: Seen) -> Printed:
    column = names(field.name)
    templates, format_ = [_WHOLE, _REST], _HEX
    if field.name in seen.small:
        templates.append(_FINER)
        format_ += "%s"
    if field.name not in seen.negative:
        templates = [one.replace("abs({0})", "{0}") for one in templates]
    given = [verbatim(one).format(column) for one in templates]
    if field.name in seen.negative:
        given.insert(0, verbatim(_SIGNED).format(column))
        format_ = "%s" + format_
    if field.name not in seen.nullable:
        return Printed(format_, tuple(given))
    made = verbatim("case when {0} is null then '\\N' else printf({1}, {2}) end")
    return Printed("%s", (made.format(column, sql.Literal(format_), listed(given)),))


def _part(field: Field, seen: Seen) -> Printed:
    made, column = value(field), names(field.name)
    form = form_of(field)
    if field.name not in seen.nullable and form.printed and field.name not in seen.odd:
        return Printed(form.printed.format(scale=field.type.scale), (column,))
    if form.is_text and (field.form == "any" or field.name in seen.special):
        made = verbatim(_ESCAPED).format(made)
    elif field.type.sort is Sort.BYTES:
        made = verbatim("'\\' || {0}").format(made)  # of `\x`, whose backslash is escaped
    if field.name in seen.nullable:
        made = verbatim("case when {0} is null then '\\N' else {1} end").format(column, made)
    return Printed("%s", (made,))


def read_lines(
    session: sqlite3.Connection,
    order: Order,
    range_: Range,
    reading: Reading,
    seen: Seen,
) -> Iterator[bytes]:
    made = line(reading.fields, seen, is_hashed=reading.is_hashed)
    if order.number:
        blocks = Blocks(session, order, verbatim("group_concat({}, '')").format(made))
        for (block,) in blocks.read(range_, lambda row: len(row[0])):
            yield block
        return
    for rows in batches(session, order, range_, made):
        yield from _bounded([row for (row,) in rows])


def _bounded(lines: Sequence[bytes]) -> Iterator[bytes]:
    taken: list[bytes] = []
    size = 0
    for one in lines:
        taken.append(one)
        size += len(one)
        if size >= _LARGEST_BYTES:
            yield b"".join(taken)
            taken, size = [], 0
    if taken:
        yield b"".join(taken)
