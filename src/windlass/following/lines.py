"""Rows as lines of COPY's text format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter

from windlass.engines.postgres.replication.messages import Row, Value

_ROWS = 500  # checked together for characters to escape
_BYTES = 1 << 18  # a block is sent when it has this size
_ESCAPED = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"))


def blocks(rows: Sequence[Row], positions: Sequence[int], width: int) -> Iterator[bytes]:
    """The rows as lines, in blocks to send, with the values at these positions only. `width` is the
    number of values in a row.

    Raises:
        TypeError: a value is UNCHANGED.
    """
    if tuple(positions) != tuple(range(width)):
        rows = _picked(rows, positions)
    fields = len(positions)
    iterator = iter(rows)
    waiting: list[bytes] = []
    size = 0
    while some := list(islice(iterator, _ROWS)):
        block = _block(some, fields)
        waiting.append(block)
        size += len(block)
        if size >= _BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _picked(rows: Sequence[Row], positions: Sequence[int]) -> list[Row]:
    if len(positions) == 1:
        at = positions[0]
        return [(row[at],) for row in rows]
    pick = itemgetter(*positions)
    return [pick(row) for row in rows]


def _block(rows: list[Row], fields: int) -> bytes:
    """The lines of some rows. Most have nothing to escape, so they are only joined."""
    nulls = 0
    try:
        block = b"\n".join([b"\t".join(row) for row in rows])  # type: ignore[arg-type]
    except TypeError:
        nulls = sum([row.count(None) for row in rows])
        filled = [[b"\\N" if value is None else value for value in row] for row in rows]
        block = b"\n".join([b"\t".join(row) for row in filled])  # type: ignore[arg-type]
    count = len(rows)
    is_plain = (
        block.count(b"\\") == nulls
        and block.count(b"\t") == count * (fields - 1)
        and block.count(b"\n") == count - 1
        and b"\r" not in block
    )
    return block + b"\n" if is_plain else b"".join(map(_line, rows))


def _line(row: Row) -> bytes:
    return b"\t".join([b"\\N" if value is None else _escaped(value) for value in row]) + b"\n"


def _escaped(value: Value) -> bytes:
    assert isinstance(value, bytes)
    for plain, escaped in _ESCAPED:
        if plain in value:
            value = value.replace(plain, escaped)
    return value
