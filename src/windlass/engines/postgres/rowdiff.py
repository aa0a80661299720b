"""Finds the rows in which the two sides of a pair differ, in constant memory.

Rows are identified by the hash of their key, because two servers may sort the key itself
differently. One scan of each side sums its rows in buckets of that hash. The rows in buckets that
differ are read again, sorted by the servers, and merged here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from windlass.engines.postgres.fingerprint import Fingerprint, Pair, Side, explained, fetch
from windlass.engines.postgres.hashing import exact_text
from windlass.engines.postgres.session import Connection
from windlass.model.report import DifferenceKind

Left = TypeVar("Left")
Right = TypeVar("Right")
Row = tuple[Any, ...]  # hash of the key, hash of the row, copies, texts of the key's columns

# A power of two; few enough for a hash aggregate within the default work_mem.
BUCKETS = 1 << 14

# How many rows a server sorts at a time, which takes about 1 GB of its temporary files.
ROWS_PER_PASS = 10_000_000

ROWS_PER_READ = 1_000


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A key whose rows differ; without a keyset, rows that one side has more copies of."""

    kind: DifferenceKind  # MISSING, EXTRA or CHANGED
    key: tuple[str | None, ...]  # texts in the keyset's order; empty without a keyset
    row_hash: int  # without a keyset: identifies the rows
    source_copies: int
    target_copies: int

    @property
    def surplus(self) -> int:
        """Without a keyset: how many more copies the source has; negative if the target has
        more."""
        return self.source_copies - self.target_copies


def scan_differences(source: Connection, target: Connection, pair: Pair) -> Iterator[RowDifference]:
    """Every difference, in no particular order. The connections are busy until the iterator ends.

    Raises:
        WindlassError: a server's reason, naming the relation.
    """
    with ThreadPoolExecutor(2) as threads:
        sums = _both(
            threads,
            partial(_read_buckets, source, pair.source),
            partial(_read_buckets, target, pair.target),
        )
        for mask in _passes(*sums):
            left = _stream(source, pair.source, mask)
            right = _stream(target, pair.target, mask)
            yield from _merge(*_both(threads, partial(_started, left), partial(_started, right)))


def _both(
    threads: ThreadPoolExecutor, left: Callable[[], Left], right: Callable[[], Right]
) -> tuple[Left, Right]:
    """The bucket sums of both servers, computed in parallel."""
    started = threads.submit(left), threads.submit(right)
    return started[0].result(), started[1].result()


def _read_buckets(connection: Connection, side: Side) -> Mapping[int, Fingerprint]:
    query = sql.SQL("select {}, count(*), sum({}) from {} group by 1").format(
        _bucket(side), side.row_hash, side.rows
    )
    rows = fetch(connection, side, query)
    return {bucket: Fingerprint(int(count), int(total)) for bucket, count, total in rows}


def _bucket(side: Side) -> sql.Composed:
    return sql.SQL("(({}) & {})::int").format(side.key_hash, sql.Literal(BUCKETS - 1))


def _passes(
    source: Mapping[int, Fingerprint], target: Mapping[int, Fingerprint]
) -> Iterator[bytes]:
    """The buckets that differ, as bit masks, each with at most as many rows as a server should sort
    at once.

    Testing a mask takes constant time, while ``= any (array)`` searches the array for every row
    before version 14.
    """
    mask, rows = bytearray(BUCKETS // 8), 0
    for bucket in sorted(source.keys() | target.keys()):
        sides = source.get(bucket, Fingerprint()), target.get(bucket, Fingerprint())
        if sides[0] == sides[1]:
            continue
        more = max(side.rows for side in sides)
        if rows and rows + more > ROWS_PER_PASS:
            yield bytes(mask)
            mask, rows = bytearray(BUCKETS // 8), 0
        mask[bucket // 8] |= 1 << bucket % 8
        rows += more
    if rows:
        yield bytes(mask)


def _stream(connection: Connection, side: Side, mask: bytes) -> Iterator[Row]:
    """Rows of the mask's buckets in the order of their hashes."""
    if side.keyset:
        form = "select {key}, {row}, 1, {texts} from {rows} where {picked} order by 1, 2"
    else:
        form = "select {row}, {row}, count(*) from {rows} where {picked} group by 1 order by 1"
    query = sql.SQL(form).format(
        key=side.key_hash,
        row=side.row_hash,
        rows=side.rows,
        texts=sql.SQL(", ").join(map(exact_text, side.keyset)),
        picked=sql.SQL("get_bit({}, {}) = 1").format(sql.Literal(mask), _bucket(side)),
    )
    # one row at a time takes twice as long, but libpq before 17 can do no better
    size = ROWS_PER_READ if psycopg.capabilities.has_stream_chunked() else 1
    with explained(side), connection.cursor() as cursor:
        yield from cursor.stream(query, binary=True, size=size)


def _started(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows, with the first one already read, so that the server has finished sorting."""
    return chain(list(islice(rows, 1)), rows)


def _merge(source: Iterator[Row], target: Iterator[Row]) -> Iterator[RowDifference]:
    """Merge two streams, sorted by the key's hash, into their differences."""
    lefts, rights = (groupby(rows, itemgetter(0)) for rows in (source, target))
    left, right = _next(lefts), _next(rights)
    while left or right:
        if left and (not right or left[0] < right[0]):
            yield from _compare(left[1], [])
            left = _next(lefts)
        elif right and (not left or right[0] < left[0]):
            yield from _compare([], right[1])
            right = _next(rights)
        elif left and right:
            yield from _compare(left[1], right[1])
            left, right = _next(lefts), _next(rights)


def _next(groups: Iterator[tuple[int, Iterator[Row]]]) -> tuple[int, list[Row]] | None:
    found = next(groups, None)
    return (found[0], list(found[1])) if found else None


def _compare(source: list[Row], target: list[Row]) -> Iterator[RowDifference]:
    """Compare the sorted rows of one key; several if the target does not enforce the key."""
    if [row[1:3] for row in source] == [row[1:3] for row in target]:
        return
    _, row_hash, _, *key = (source or target)[0]
    copies = sum(row[2] for row in source), sum(row[2] for row in target)
    if not target or (not key and copies[0] > copies[1]):
        kind = DifferenceKind.MISSING
    elif not source or not key:
        kind = DifferenceKind.EXTRA
    else:
        kind = DifferenceKind.CHANGED
    yield RowDifference(kind, tuple(map(_text, key)), row_hash, *copies)


def _text(value: str | bytes | None) -> str | None:
    """Decode a text; the encoding is unknown for a server in SQL_ASCII."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
