"""Counts, over all rows of a table, how many values have each form that a column can have, and
which characters its texts have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from threading import Lock

from psycopg import sql

from windlass.engines.sqlite.origin.blocks import Blocks
from windlass.engines.sqlite.origin.choosing import Choice
from windlass.engines.sqlite.origin.counted import Counted, Pair, estimate, has_one_zero
from windlass.engines.sqlite.origin.forms import fits
from windlass.engines.sqlite.origin.functions import FRACTIONAL, NEGATIVE, ODD, SIMPLE, SMALL
from windlass.engines.sqlite.origin.ranges import Order, in_parts
from windlass.engines.sqlite.origin.whole_rows import counted, look_at_rows
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.chunk import Range
from windlass.model.translation import Sort

# SQLite allows 2,000 result columns in a statement; a column can need more than ten
_COLUMNS_AT_ONCE = 100


def count_forms(
    sessions: Sequence[sqlite3.Connection], order: Order, choices: Sequence[Choice]
) -> tuple[int, list[Counted]]:
    """The number of rows, and what was counted of each choice's column.

    One scan checks whether each row has the first form of every column, at a quarter of the cost
    of checking the columns one by one. Only if a row does not, the columns are counted: one scan
    counts the first form of each, another the other forms of columns that have other values. If
    rows have numbers, each session reads a part of the table.
    """
    rows, found = 0, [Counted() for _ in choices]
    for pairs in _some(list(zip(choices, found, strict=True))):
        rows, all_fit = look_at_rows(sessions, order, pairs)
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


def _some(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    for at in range(0, len(pairs), _COLUMNS_AT_ONCE):
        yield pairs[at : at + _COLUMNS_AT_ONCE]


def _inexact(choice: Choice) -> Sequence[str]:
    """Conditions for floats that `printf` does not write exactly, in decimal and in hexadecimal
    digits."""
    if has_one_zero(choice):
        return f"({{0}} <> 0 and {ODD})", f"({{0}} <> 0 and not {SIMPLE})"
    return ODD, FRACTIONAL


def _count(
    sessions: Sequence[sqlite3.Connection], order: Order, pairs: Sequence[Pair], *, first: bool
) -> None:
    tests = [test for choice, _ in pairs for test in _tests(choice, first=first)]
    sums = _scan(sessions, order, tests)
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
        estimate(pairs)


def _scan(
    sessions: Sequence[sqlite3.Connection], order: Order, tests: Sequence[sql.Composable]
) -> list[int]:
    """The sums of counts, over all rows."""
    sums, alone = [0] * len(tests), Lock()

    def scan(session: sqlite3.Connection, range_: Range) -> None:
        nonlocal sums
        for counts in _portions(session, order, range_, tests):
            with alone:
                sums = [whole + part for whole, part in zip(sums, counts, strict=True)]

    in_parts(sessions, order, scan)
    return sums


def _portions(
    session: sqlite3.Connection, order: Order, range_: Range, tests: Sequence[sql.Composable]
) -> Iterator[Sequence[int]]:
    if order.number:
        yield from Blocks(session, order, listed(tests)).read(range_, lambda _: 0)
        return
    query = statement("select {counts} from {table}", counts=listed(tests), table=order.rows)
    yield session.execute(query).fetchone()


def _tests(choice: Choice, *, first: bool) -> list[sql.Composable]:
    column = names(choice.column.name)
    some = choice.fields[:1] if first else choice.fields[1:]
    fitting = [counted(fits(one.name, one.type, one.form)) for one in some]
    if not first:
        return fitting
    values = verbatim("count({})").format(column)
    if choice.fields[0].type.sort is not Sort.FLOAT:
        return [values, *fitting]
    digits = [counted(verbatim(one).format(column)) for one in (*_inexact(choice), SMALL, NEGATIVE)]
    return [values, *digits, *fitting]
