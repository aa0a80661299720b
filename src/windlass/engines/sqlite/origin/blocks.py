"""Reads many rows at once: SQLite joins the results for each row, so that Python is called once per
block instead of once per row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from windlass.engines.sqlite.origin.ranges import LEAST, MOST, Order, condition
from windlass.engines.statements import names, statement
from windlass.model.chunk import KeyRange, Range

Row = tuple[Any, ...]
MOST_ROWS = 2000  # of a block, about
_WANTED_BYTES = 256 << 10
# A block that would be too large is read again in smaller ones, and a single row without this
# limit: a value can have a gigabyte.
_LARGEST_BYTES = 16 << 20


def batches(
    session: sqlite3.Connection, order: Order, range_: Range, columns: sql.Composable
) -> Iterator[list[Row]]:
    """The rows in batches, for short expressions."""
    where, given = condition(order, range_)
    query = statement(
        "select {columns} from {table}{where}",
        columns=columns,
        table=order.rows,
        where=where,
    )
    cursor = session.execute(query, given)
    while rows := cursor.fetchmany(MOST_ROWS):
        yield rows


def balanced(parts: Sequence[sql.Composable]) -> sql.Composable:
    """`a || b || c` with parentheses, so that no expression is nested deeper than the 1,000 levels
    that SQLite allows: a table can have 2,000 columns."""
    groups = [sql.SQL(" || ").join(parts[at : at + 30]) for at in range(0, len(parts), 30)]
    if len(groups) < 2:
        return groups[0] if groups else sql.SQL("''")
    return balanced([sql.SQL("({})").format(one) for one in groups])


class Blocks:
    """Aggregates over blocks of rows, whose values may all be in the result. Only for tables with
    row numbers: a block is a range of them, because one with a LIMIT takes twice as long
    (3.40.1)."""

    def __init__(
        self, session: sqlite3.Connection, order: Order, aggregates: sql.Composable
    ) -> None:
        self._session = session
        self._width = 200  # in numbers, of which few may have rows
        parts = {"number": names(order.number), "table": order.rows}
        self._first = statement("select min({number}) from {table} where {number} >= ?", **parts)
        self._parts, self._at = parts, (0, 0)
        self._most = session.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        self.use(aggregates)

    def use(self, aggregates: sql.Composable) -> None:
        """Other aggregates, over the blocks that follow."""
        self._query = self._composed(aggregates)

    def again(self, aggregates: sql.Composable) -> Row:
        """Other aggregates, which are short, over the rows of the last block."""
        with self._unlimited():
            return self._fetched(self._composed(aggregates), *self._at)[:-1]

    @contextmanager
    def _unlimited(self) -> Iterator[None]:
        """A value of any size can be read."""
        self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._most)
        try:
            yield
        finally:
            self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_BYTES)

    def _composed(self, aggregates: sql.Composable) -> str:
        return statement(
            "select {aggregates}, count(*) from {table} where {number} between ? and ?",
            aggregates=aggregates,
            **self._parts,
        )

    def read(self, range_: Range, size: Callable[[Row], int]) -> Iterator[Row]:
        """The aggregates of each block that has rows. `size` is the approximate size in bytes."""
        low, high = numbers_of(range_)
        self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_BYTES)
        try:
            while low <= high:
                last = min(high, low + self._width - 1)
                found = self._one(low, last)
                if found is None:
                    self._width = max(1, self._width // 8)
                    continue
                *values, rows = found
                self._at = low, last
                low = last + 1
                if rows:
                    self._adapt(size(tuple(values)), rows)
                    yield tuple(values)
                elif low <= high:
                    low = self._after_gap(low, high)
        finally:
            self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._most)

    def _one(self, low: int, last: int) -> Row | None:
        """The aggregates of one block; None if they are too large."""
        try:
            return self._fetched(self._query, low, last)
        except sqlite3.DataError:
            if last > low:
                return None
        with self._unlimited():
            return self._fetched(self._query, low, last)

    def _after_gap(self, low: int, high: int) -> int:
        """The next number that has a row."""
        (found,) = self._fetched(self._first, low)
        return high + 1 if found is None else int(found)

    def _fetched(self, query: str, *given: int) -> Row:
        (found,) = self._session.execute(query, given).fetchall()
        return tuple(found)

    def _adapt(self, size: int, rows: int) -> None:
        wanted = max(1, min(MOST_ROWS, _WANTED_BYTES // (size // rows + 1)))
        self._width = max(1, min(self._width * wanted // rows, self._width * 8))


def numbers_of(range_: Range) -> tuple[int, int]:
    """The first and the last number that a row in the range can have."""
    if not isinstance(range_, KeyRange):
        return LEAST, MOST
    low = LEAST if range_.low is None else int(range_.low[0])
    high = MOST if range_.high is None else int(range_.high[0]) - 1
    return low, high
