"""Counts, over all rows of a table, how many values have each form that a column can have, and
which characters its texts have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from psycopg import sql

from windlass.engines.sqlite.origin.blocks import Blocks, batches
from windlass.engines.sqlite.origin.choosing import Choice
from windlass.engines.sqlite.origin.forms import FORMS, fits
from windlass.engines.sqlite.origin.functions import FRACTIONAL, ODD, SIMPLE, SMALL
from windlass.engines.sqlite.origin.ranges import Order, parts
from windlass.engines.sqlite.types import Affinity, affinity_of
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.chunk import Range, Whole
from windlass.model.translation import Sort, Type

# SQLite allows 2,000 result columns in a statement; a column can need more than ten
_COLUMNS_AT_ONCE = 100
_NEGATIVE = "{0} < 0"
_VALUE_BYTES = 8  # of what is no text
SPECIAL = (b"\\", b"\t", b"\n", b"\r")  # what COPY's text form escapes


@dataclass
class Counted:
    """What was counted of a column's values."""

    values: int = 0  # without NULLs
    fitting: list[int] = field(default_factory=list)  # by the choice's fields
    bytes: int = 0
    is_text_fine: bool = True  # all texts are UTF-8 without NUL
    has_special: bool = False
    odd: int = 0  # floats that are odd as in `windlass.engines.sqlite.origin.seen.Seen`
    fractional: int = 0
    small: int = 0
    negative: int = 0


def count_forms(
    sessions: Sequence[sqlite3.Connection], order: Order, choices: Sequence[Choice]
) -> tuple[int, list[Counted]]:
    """The number of rows, and what was counted of each choice's column.

    One scan checks whether each row has the first form of every column, at half the cost of
    checking the columns one by one. Only if a row does not, the columns are counted: one scan
    counts the first form of each, another the other forms of columns that have other values. If
    rows have numbers, each session reads a part of the table.

    Of a table with numbered rows, each session reads a part.
    """
    rows, found = 0, [Counted() for _ in choices]
    for pairs in _some(list(zip(choices, found, strict=True))):
        rows, all_fit = _look_at_rows(sessions, order, pairs)
        if not all_fit:
            _count(sessions, order, pairs, first=True)
    again = [
        (choice, one)
        for choice, one in zip(choices, found, strict=True)
        if one.fitting[0] < one.values and len(choice.fields) > 1
    ]
    for pairs in _some(again):
        _count(sessions, order, pairs, first=False)
    return rows, found


_Pair = tuple[Choice, Counted]


def _some(pairs: Sequence[_Pair]) -> Iterator[Sequence[_Pair]]:
    for at in range(0, len(pairs), _COLUMNS_AT_ONCE):
        yield pairs[at : at + _COLUMNS_AT_ONCE]


def _look_at_rows(
    sessions: Sequence[sqlite3.Connection], order: Order, pairs: Sequence[_Pair]
) -> tuple[int, bool]:
    """The number of rows, and whether all have the first form of every column. If so, it is known
    what `_count` would count."""
    tests = [_in_a_row(choice, order) for choice, _ in pairs]
    floats = [choice for choice, _ in pairs if choice.fields[0].type.sort is Sort.FLOAT]
    counted = [
        _counted(sql.SQL(" and ").join(tests)),
        *(verbatim("count({})").format(names(choice.column.name)) for choice, _ in pairs),
        *(
            _counted(verbatim(test).format(names(one.column.name)))
            for one in floats
            for test in (SMALL, _NEGATIVE)
        ),
    ]
    texts = [pair for pair in pairs if _may_be_text(pair[0])]
    rows, (fitting, *values) = _scan(sessions, order, counted, texts)
    of_floats = iter(values[len(pairs) :])
    if fitting < rows:
        return rows, False
    for (choice, one), many in zip(pairs, values, strict=False):
        one.values, one.fitting = many, [many]
        if choice in floats:
            one.small, one.negative = next(of_floats), next(of_floats)
    _estimate(pairs)
    return rows, True


def _counted(condition: sql.Composable) -> sql.Composable:
    return verbatim("count(case when {} then 1 end)").format(condition)


def _in_a_row(choice: Choice, order: Order) -> sql.Composable:
    """A condition that the value has the first form or is NULL. It may be false for some values
    that do."""
    field, column = choice.fields[0], names(choice.column.name)
    if order.number == field.name and field.type == Type(Sort.INTEGER, bits=64):
        return sql.SQL("1")
    condition = fits(field.name, field.type, field.form)
    if field.type == Type(Sort.TEXT) and not field.form:
        # a text is more than any number and less than any blob: faster than typeof()
        condition = verbatim("{0} >= '' collate binary and {0} < x''").format(column)
    if field.type.sort is Sort.FLOAT:
        simple = f"({{0}} = 0 or {SIMPLE})" if _has_one_zero(choice) else SIMPLE
        condition = verbatim("({}) and {}").format(condition, verbatim(simple).format(column))
    return verbatim("({} is null or ({}))").format(column, condition)


def _has_one_zero(choice: Choice) -> bool:
    """Whether SQLite never stores a negative zero in it."""
    return affinity_of(choice.column.type.upper().strip()) is Affinity.REAL


def _inexact(choice: Choice) -> Sequence[str]:
    """Conditions for floats that `printf` does not write exactly, in decimal and in hexadecimal
    digits."""
    if _has_one_zero(choice):
        return f"({{0}} <> 0 and {ODD})", f"({{0}} <> 0 and not {SIMPLE})"
    return ODD, FRACTIONAL


def _scan(
    sessions: Sequence[sqlite3.Connection],
    order: Order,
    counted: Sequence[sql.Composable],
    texts: Sequence[_Pair],
) -> tuple[int, list[int]]:
    """The number of rows and the sums of counts, over all rows; looks at texts."""
    columns = [names(choice.column.name) for choice, _ in texts]
    sums, rows, alone = [0] * len(counted), 0, Lock()

    def scan(session: sqlite3.Connection, range_: Range) -> None:
        nonlocal sums, rows
        for counts, joined in _portions(session, order, range_, counted, columns):
            with alone:
                rows += counts[0]
                sums = [whole + part for whole, part in zip(sums, counts[1:], strict=True)]
                for (_, one), text in zip(texts, joined, strict=True):
                    _look(one, text)

    ranges = parts(sessions[0], order, len(sessions)) if order.number else [Whole()]
    if len(ranges) == 1:
        scan(sessions[0], ranges[0])
    else:
        with ThreadPoolExecutor(len(ranges), "windlass-scan") as pool:
            list(pool.map(scan, sessions, ranges))
    return rows, sums


def _estimate(pairs: Sequence[_Pair]) -> None:
    """Add the approximate size of values that are not text."""
    for choice, one in pairs:
        one.bytes += 0 if _may_be_text(choice) else one.values * _VALUE_BYTES


def _count(
    sessions: Sequence[sqlite3.Connection], order: Order, pairs: Sequence[_Pair], *, first: bool
) -> None:
    tests = [test for choice, _ in pairs for test in _tests(choice, first=first)]
    _, sums = _scan(sessions, order, tests, [])
    for choice, one in pairs:
        many = len(_tests(choice, first=first))
        mine, sums = sums[:many], sums[many:]
        if first:
            one.values, *mine = mine
            if choice.fields[0].type.sort is Sort.FLOAT:
                one.odd, one.fractional, one.small, one.negative, *mine = mine
            one.fitting = mine
        else:
            one.fitting += mine
    if first:
        _estimate(pairs)


def _tests(choice: Choice, *, first: bool) -> list[sql.Composable]:
    column = names(choice.column.name)
    some = choice.fields[:1] if first else choice.fields[1:]
    fitting: list[sql.Composable] = [
        verbatim("count(case when {} then 1 end)").format(fits(one.name, one.type, one.form))
        for one in some
    ]
    if not first:
        return fitting
    if choice.fields[0].type.sort is not Sort.FLOAT:
        return [verbatim("count({})").format(column), *fitting]
    digits = [
        verbatim("count(case when " + one + " then 1 end)").format(column)
        for one in (*_inexact(choice), SMALL, _NEGATIVE)
    ]
    return [verbatim("count({})").format(column), *digits, *fitting]


def _may_be_text(choice: Choice) -> bool:
    return any(FORMS[one.type.sort, one.form].is_text for one in choice.fields)


def _portions(
    session: sqlite3.Connection,
    order: Order,
    range_: Range,
    tests: Sequence[sql.Composable],
    texts: Sequence[sql.Composable],
) -> Iterator[tuple[Sequence[int], Sequence[bytes | None]]]:
    """Counts for groups of rows, the first being the number of rows; and the rows' texts, joined by
    a comma, which is never part of a longer character."""
    counts = [verbatim("count(*)"), *tests]
    if order.number:
        joined = [verbatim("group_concat({})").format(one) for one in texts]
        blocks = Blocks(session, order, listed([*counts, *joined]))
        many = len(counts)
        for row in blocks.read(range_, lambda row: _size(row[many:])):
            yield row[:many], row[many:]
        return
    query = statement("select {counts} from {table}", counts=listed(counts), table=order.rows)
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
