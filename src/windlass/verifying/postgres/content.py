"""Reports which rows of a pair differ, and names as many as a person would read.

`windlass.engines.postgres.rowdiff` finds them; this module decides what to report, and how much.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from itertools import chain, islice
from typing import TextIO, TypeVar

from windlass.engines.postgres.fingerprint import Pair, Side
from windlass.engines.postgres.rowdiff import RowDifference, scan_differences
from windlass.engines.postgres.rowlookup import (
    Key,
    read_column_hashes,
    read_values,
    read_values_by_hash,
)
from windlass.engines.postgres.session import Connection
from windlass.model.report import Difference, DifferenceKind

T = TypeVar("T")

LIMIT = 1000  # named differences of a relation; the others are counted
_KEYS_PER_QUERY = 200

_WHERE = {
    DifferenceKind.MISSING: "on the source only",
    DifferenceKind.EXTRA: "on the target only",
    DifferenceKind.CHANGED: "not the same",
}
_MORE = {**_WHERE, DifferenceKind.CHANGED: "with other values"}


def find_differences(
    source: Connection,
    target: Connection,
    pair: Pair,
    *,
    limit: int = LIMIT,
    show_values: bool = False,
    every: Callable[[Difference], None] | None = None,
) -> list[Difference]:
    """The first `limit` rows that differ, with the columns, then how many more of each kind.

    `every` is called with each difference, however many there are; they wait in a temporary file.
    Values leave the servers only with `show_values`; keys always do. Reads each side twice at most,
    and memory does not depend on the size of the relation.

    Raises:
        WindlassError: a server failed; the message names the relation.
    """

    def described(rows: Sequence[RowDifference]) -> list[Difference]:
        found = [_described(row, pair) for row in rows]
        if pair.source.keyset:
            found = list(_with_columns(source, target, pair, rows, found))
        if show_values:
            found = list(_with_values(source, target, pair, rows, found))
        return found

    more: Counter[DifferenceKind] = Counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as spool:
        rows = scan_differences(source, target, pair)
        named = sorted(islice(rows, limit), key=_place)
        for row in rows:
            more[row.kind] += 1
            if every:
                spool.write(json.dumps(astuple(row)) + "\n")
        first = described(named)
        if every:
            for difference in chain(first, chain.from_iterable(map(described, _spooled(spool)))):
                every(difference)
    return first + [_summed_up(pair, kind, count) for kind, count in sorted(more.items())]


def _spooled(spool: TextIO) -> Iterator[list[RowDifference]]:
    spool.seek(0)
    while lines := list(islice(spool, _KEYS_PER_QUERY)):
        yield [
            RowDifference(DifferenceKind(kind), tuple(key), *counts)
            for kind, key, *counts in map(json.loads, lines)
        ]


def _place(row: RowDifference) -> list[tuple[int, str]]:
    """Sort short keys first, which puts numbers in order."""
    return [(len(value or ""), value or "") for value in row.key]


def _described(row: RowDifference, pair: Pair) -> Difference:
    message = _WHERE[row.kind]
    if not pair.source.keyset:
        copies = f"{row.source_copies} on the source, {row.target_copies} on the target"
        message = f"copies of row {row.row_hash & 0xFFFFFFFFFFFFFFFF:016x}: {copies}"
    names = [column.name for column in pair.source.keyset]
    key = {name: str(value) for name, value in zip(names, row.key, strict=True)}
    return Difference(row.kind, str(pair.source.name), message, key)


def _summed_up(pair: Pair, kind: DifferenceKind, count: int) -> Difference:
    message = f"and {count:,} more {_MORE[kind]}"
    return Difference(kind, str(pair.source.name), message, rows=count)


def _with_columns(
    source: Connection,
    target: Connection,
    pair: Pair,
    rows: Sequence[RowDifference],
    found: Sequence[Difference],
) -> Iterator[Difference]:
    """The same differences, with the columns of changed rows, in order."""
    changed = {row.key for row in rows if row.kind is DifferenceKind.CHANGED}
    columns: dict[Key, tuple[str, ...]] = {}
    for keys in _batches(sorted(changed, key=str)):
        left = read_column_hashes(source, pair.source, keys)
        right = read_column_hashes(target, pair.target, keys)
        for key in keys:
            # on a target that does not enforce a key, several rows may have it: no columns then
            if len(left.get(key, ())) == len(right.get(key, ())) == 1:
                columns[key] = _differing(pair.source, left[key][0], right[key][0])
    for row, difference in zip(rows, found, strict=True):
        if names := columns.get(row.key):
            yield replace(difference, columns=names, message=f"differs in {', '.join(names)}")
        elif row.kind is DifferenceKind.CHANGED:
            counts = f"{row.source_copies} on the source, {row.target_copies} on the target"
            yield replace(difference, message=f"rows with this key: {counts}")
        else:
            yield difference


def _differing(side: Side, left: Sequence[int], right: Sequence[int]) -> tuple[str, ...]:
    together = zip(side.columns, left, right, strict=True)
    return tuple(column.name for column, one, other in together if one != other)


def _with_values(
    source: Connection,
    target: Connection,
    pair: Pair,
    rows: Sequence[RowDifference],
    found: Sequence[Difference],
) -> Iterator[Difference]:
    """The same, with the values of columns that differ, or of whole rows that one side lacks."""
    for some in _batches(list(zip(rows, found, strict=True))):
        batch = [row for row, _ in some]
        left = _read_values(source, pair.source, batch)
        right = _read_values(target, pair.target, batch)
        for row, difference in some:
            names = [column.name for column in pair.source.columns]
            shown = difference.columns or names
            yield replace(
                difference,
                source=_named(names, left.get(row.key or row.row_hash), shown),
                target=_named(names, right.get(row.key or row.row_hash), shown),
            )


def _read_values(
    connection: Connection, side: Side, rows: Sequence[RowDifference]
) -> Mapping[Key | int, Sequence[str | None]]:
    """Values by key, or by row hash without a keyset. Of several rows with one key, the first."""
    if not side.keyset:
        by_hash = read_values_by_hash(connection, side, [row.row_hash for row in rows])
        return dict(by_hash.items())
    found = read_values(connection, side, [row.key for row in rows])
    return {key: values[0] for key, values in found.items()}


def _named(
    names: Sequence[str], values: Sequence[str | None] | None, shown: Sequence[str]
) -> dict[str, str | None] | None:
    if values is None:
        return None
    return {name: one for name, one in zip(names, values, strict=True) if name in shown}


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _KEYS_PER_QUERY):
        yield items[start : start + _KEYS_PER_QUERY]
