"""Counts, over all rows of a table, how many values have each form that a column can have, and what
its texts are made of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from windlass.engines.sqlite.origin.blocks import Blocks, batches
from windlass.engines.sqlite.origin.choosing import Choice
from windlass.engines.sqlite.origin.forms import FORMS, fits
from windlass.engines.sqlite.origin.functions import ODD
from windlass.engines.sqlite.origin.ranges import Order
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.chunk import Whole
from windlass.model.translation import Sort

# of a statement's 2,000 result columns, a column can need more than ten
_COLUMNS_AT_ONCE = 100
_VALUE_BYTES = 8  # of what is no text
SPECIAL = (b"\\", b"\t", b"\n", b"\r")  # what COPY's text form escapes


@dataclass
class Counted:
    """Of a column's values."""

    values: int = 0  # without NULLs
    fitting: list[int] = field(default_factory=list)  # by the choice's fields
    bytes: int = 0
    is_text_fine: bool = True  # UTF-8 without NUL
    has_special: bool = False
    odd: int = 0  # numbers that are not printed exactly


def count_forms(
    session: sqlite3.Connection, order: Order, choices: Sequence[Choice]
) -> tuple[int, list[Counted]]:
    """The number of rows, and what was counted of each choice's column.

    The first form of each column is tried in one scan, and the others of those columns that have
    other values in another.
    """
    rows, found = 0, [Counted() for _ in choices]
    for pairs in _some(list(zip(choices, found, strict=True))):
        rows = _count(session, order, pairs, first=True)
    again = [
        (choice, one)
        for choice, one in zip(choices, found, strict=True)
        if one.fitting[0] < one.values and len(choice.fields) > 1
    ]
    for pairs in _some(again):
        _count(session, order, pairs, first=False)
    return rows, found


_Pair = tuple[Choice, Counted]


def _some(pairs: Sequence[_Pair]) -> Iterator[Sequence[_Pair]]:
    for at in range(0, len(pairs), _COLUMNS_AT_ONCE):
        yield pairs[at : at + _COLUMNS_AT_ONCE]


def _count(
    session: sqlite3.Connection, order: Order, pairs: Sequence[_Pair], *, first: bool
) -> int:
    tests = [test for choice, _ in pairs for test in _tests(choice, first=first)]
    texts = [pair for pair in pairs if first and _may_be_text(pair[0])]
    columns = [names(choice.column.name) for choice, _ in texts]
    sums, rows = [0] * len(tests), 0
    for counts, joined in _portions(session, order, tests, columns):
        rows += counts[0]
        sums = [whole + part for whole, part in zip(sums, counts[1:], strict=True)]
        for (_, one), text in zip(texts, joined, strict=True):
            _look(one, text)
    for choice, one in pairs:
        many = len(_tests(choice, first=first))
        mine, sums = sums[:many], sums[many:]
        if first:
            one.values, one.odd, *one.fitting = mine
            one.bytes += 0 if _may_be_text(choice) else one.values * _VALUE_BYTES
        else:
            one.fitting += mine
    return rows


def _tests(choice: Choice, *, first: bool) -> list[sql.Composable]:
    column = names(choice.column.name)
    some = choice.fields[:1] if first else choice.fields[1:]
    fitting: list[sql.Composable] = [
        verbatim("count(case when {} then 1 end)").format(fits(one.name, one.type, one.form))
        for one in some
    ]
    if not first:
        return fitting
    odd = ODD if choice.fields[0].type.sort is Sort.FLOAT else "0"
    counted = verbatim("count(case when " + odd + " then 1 end)")
    return [verbatim("count({})").format(column), counted.format(column), *fitting]


def _may_be_text(choice: Choice) -> bool:
    return any(FORMS[one.type.sort, one.form].is_text for one in choice.fields)


def _portions(
    session: sqlite3.Connection,
    order: Order,
    tests: Sequence[sql.Composable],
    texts: Sequence[sql.Composable],
) -> Iterator[tuple[Sequence[int], Sequence[bytes | None]]]:
    """Counts of some rows, first that of them, and their texts: joined by a comma, which is no part
    of a longer character."""
    counts = [verbatim("count(*)"), *tests]
    if order.number:
        joined = [verbatim("group_concat({})").format(one) for one in texts]
        blocks = Blocks(session, order, listed([*counts, *joined]))
        many = len(counts)
        for row in blocks.read(Whole(), lambda row: _size(row[many:])):
            yield row[:many], row[many:]
        return
    query = statement(
        "select {counts} from {table}", counts=listed(counts), table=names(order.table)
    )
    yield session.execute(query).fetchone(), [None] * len(texts)
    if texts:
        nothing = [0] * len(counts)
        values = listed([verbatim("cast({} as text)").format(one) for one in texts])
        for rows in batches(session, order, Whole(), values):
            for row in rows:
                yield nothing, row


def _size(texts: Sequence[bytes | None]) -> int:
    return sum(len(one) for one in texts if one)


def _look(one: Counted, text: bytes | None) -> None:
    if not text:
        return
    one.bytes += len(text)
    if one.is_text_fine:
        one.is_text_fine = b"\0" not in text and is_utf8(text)
    if not one.has_special:
        one.has_special = any(special in text for special in SPECIAL)


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
