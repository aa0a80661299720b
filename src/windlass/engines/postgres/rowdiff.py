"""Where the two sides of a pair differ, row by row, in memory that does not depend on their size.

Rows are told apart by the hash of their key, because two servers may sort the key itself
differently. One scan of each side adds up its rows in buckets of that hash; the rows of buckets
that differ are read again, sorted by the servers, and merged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from windlass.engines.postgres.fingerprint import Pair
from windlass.engines.postgres.session import Connection
from windlass.model.report import DifferenceKind

T = TypeVar("T")

# A power of two; few enough for a hash aggregate within the default work_mem.
BUCKETS = 1 << 14

# How many rows a server sorts at a time: under 1 GB of its temporary files for usual keys.
ROWS_PER_PASS = 10_000_000


@dataclass(frozen=True, slots=True)
class RowDifference:
    """One key whose rows are not the same, or rows without a key that one side has more of."""

    kind: DifferenceKind  # missing, extra or changed
    key: tuple[str | None, ...]  # text forms, in the keyset's order; empty without a keyset
    row_hash: int  # of the row, where there is no keyset
    copies: int = 1  # without a keyset: by how many one side has more


def scan_differences(source: Connection, target: Connection, pair: Pair) -> Iterator[RowDifference]:
    """Every difference, in the order of the key's hash. Exhaust or close it before other work on
    the connections.

    Raises:
        WindlassError: a server's reason, naming the relation.
    """
    buckets = _differing_buckets(source, target, pair)
    for mask in _passes(buckets):
        query = _rows_query_of(pair, mask)
        streams = [
            _stream(source, pair.source, *query(pair.source)),
            _stream(target, pair.target, *query(pair.target)),
        ]
        yield from _merge(*_both(lambda: _primed(streams[0]), lambda: _primed(streams[1])))
