"""Cuts rows of a simple CSV dialect into blocks of whole rows, and checks that every row of a block
is well-formed.

In well-formed rows, quotes at even positions open a value and those at odd positions close one, or
the two are halves of a doubled quote. So a block is well-formed if each opening quote follows a
delimiter, a line end or a quote, and each closing one precedes one of those. This needs no state
from byte to byte, so all bytes of a block are examined together. What is wrong with a row is found
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from windlass.engines.files.csv_dialect import Dialect

LF, CR = 10, 13
MOST_RECORD_BYTES = 128 << 20  # longer records count as having a quote that is not closed


@dataclass(frozen=True, slots=True)
class Rows:
    """Whole rows, of which the last ends with LF. `ends` are the positions of the rows' LFs."""

    data: bytes
    array: Any
    quotes: Any
    ends: Any
    is_whole: bool = True  # otherwise a row is too long, or its quote is not closed


def rows_of(blocks: Iterable[bytes], dialect: Dialect) -> Iterator[Rows]:
    """Cut a file at line ends. A missing LF after the last row is added."""
    pieces: list[bytes] = []  # of rows that are not complete
    size = wanted = 0
    for block in blocks:
        pieces.append(block)
        size += len(block)
        if size < wanted:
            continue
        rest = b"".join(pieces)
        rows = whole(rest, dialect)
        if rows is not None:
            yield rows
            rest, wanted = rest[len(rows.data) :], 0
        elif size > MOST_RECORD_BYTES:
            yield _unfinished(rest)
            return
        else:
            wanted = 2 * size
        pieces, size = [rest], len(rest)
    rest = b"".join(pieces)
    if rest:
        rest += b"" if rest.endswith(b"\n") else b"\n"
        rows = whole(rest, dialect)
        if rows is not None:
            yield rows
            rest = rest[len(rows.data) :]
        if rest:
            yield _unfinished(rest)


def whole(data: bytes, dialect: Dialect) -> Rows | None:
    """The complete rows; None if there are none."""
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == LF)
    quotes = np.flatnonzero(array == ord(dialect.quote)) if dialect.quote else ends[:0]
    if len(quotes):
        ends = ends[_outside(ends, quotes)]
    if not len(ends):
        return None
    size = int(ends[-1]) + 1
    return Rows(data[:size], array[:size], quotes[: np.searchsorted(quotes, size)], ends)


def _unfinished(data: bytes) -> Rows:
    nothing = np.zeros(0, np.int64)
    return Rows(data, np.frombuffer(data, np.uint8), nothing, nothing, is_whole=False)


def _outside(places: Any, quotes: Any) -> Any:
    """Whether each place has an even number of quotes before it."""
    return (np.searchsorted(quotes, places) & 1) == 0


def is_right(rows: Rows, dialect: Dialect, columns: int) -> bool:
    """Whether every row is well-formed, is UTF-8 without NUL, and has this number of values."""
    data = rows.data
    if not rows.is_whole or b"\0" in data:
        return False
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
    return (
        _quotes_are_right(rows, dialect)
        and _returns_are_right(rows)
        and _counts_are_right(rows, dialect, columns)
    )


def _quotes_are_right(rows: Rows, dialect: Dialect) -> bool:
    if not len(rows.quotes):
        return True
    delimiter, quote = ord(dialect.delimiter), ord(dialect.quote)
    opening, closing = rows.quotes[0::2], rows.quotes[1::2]
    before = rows.array[opening - 1]  # for the first byte this is the last one, an LF
    after = rows.array[closing + 1]  # always exists, because the last byte is an LF
    begins = (before == delimiter) | (before == LF) | (before == quote)
    ends = (after == delimiter) | (after == LF) | (after == CR) | (after == quote)
    return bool(begins.all() and ends.all())


def returns(rows: Rows) -> Any:
    """The positions of CRs outside of quotes."""
    if b"\r" not in rows.data:
        return rows.quotes[:0]
    places = np.flatnonzero(rows.array == CR)
    return places[_outside(places, rows.quotes)] if len(rows.quotes) else places


def _returns_are_right(rows: Rows) -> bool:
    places = returns(rows)
    return bool((rows.array[places + 1] == LF).all())


def _counts_are_right(rows: Rows, dialect: Dialect, columns: int) -> bool:
    places = np.flatnonzero(rows.array == ord(dialect.delimiter))
    if len(rows.quotes):
        places = places[_outside(places, rows.quotes)]
    if len(places) != len(rows.ends) * (columns - 1):
        return False
    if columns == 1 or not len(places):
        return True
    first, last = places[:: columns - 1], places[columns - 2 :: columns - 1]
    # the delimiters of row N are between the ends of rows N - 1 and N
    return bool((first[1:] > rows.ends[:-1]).all() and (last < rows.ends).all())
