"""Repair: make the rows of the target those of the source, touching only what differs.

Definitions are not repaired, only reported.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from windlass.engines.postgres.fingerprint import Pair, explained
from windlass.engines.postgres.rowdiff import scan_differences
from windlass.engines.postgres.rowlookup import Key, has_key
from windlass.engines.postgres.rowmend import (
    copy_copies,
    copy_rows,
    delete_copies,
    delete_rows,
    undisturbed,
)
from windlass.engines.postgres.session import Connection

Spooled = tuple[list[str | None], int, int]  # a RowDifference's key, row hash and surplus

KEYS_AT_ONCE = 20_000  # looked up through an index
HASHES_AT_ONCE = 100_000  # looked up in a scan


@dataclass(frozen=True, slots=True)
class Repaired:
    deleted_rows: int = 0
    copied_rows: int = 0

    def __add__(self, other: Repaired) -> Repaired:
        return Repaired(
            self.deleted_rows + other.deleted_rows, self.copied_rows + other.copied_rows
        )


def repair(source: Connection, target: Connection, pair: Pair) -> Repaired:
    """Copy what differs again, in one target transaction that fires no trigger.

    Every key that differs loses its rows on the target and gets the source's. All are deleted
    before the first is copied, as two rows may have swapped a unique value. Which ones they are is
    kept in a temporary file, so memory does not grow with them. Idempotent.

    Raises:
        WindlassError: foreign keys would act and this user may not prevent it, or a server's
            reason; the target is as it was.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as spool,
        explained(pair.target, "repairing"),
        target.transaction(),
        undisturbed(target, pair.target),
    ):
        for row in scan_differences(source, target, pair):
            spool.write(json.dumps([row.key, row.row_hash, row.surplus]) + "\n")
        mend = _mend_by_key if pair.source.keyset else _mend_by_content
        return mend(source, target, pair, spool)


def _mend_by_key(source: Connection, target: Connection, pair: Pair, spool: TextIO) -> Repaired:
    deleted = sum(
        delete_rows(target, pair.target, has_key(pair.target, keys)) for keys in _keys(spool)
    )
    copied = sum(
        copy_rows(source, target, pair, has_key(pair.source, keys)) for keys in _keys(spool)
    )
    return Repaired(deleted, copied)


def _mend_by_content(source: Connection, target: Connection, pair: Pair, spool: TextIO) -> Repaired:
    deleted = copied = 0
    for batch in _batches(spool, HASHES_AT_ONCE):
        surplus = {hash_: count for _, hash_, count in batch}
        too_many = {hash_: -count for hash_, count in surplus.items() if count < 0}
        missing = {hash_: count for hash_, count in surplus.items() if count > 0}
        deleted += delete_copies(target, pair.target, too_many) if too_many else 0
        copied += copy_copies(source, target, pair, missing) if missing else 0
    return Repaired(deleted, copied)


def _keys(spool: TextIO) -> Iterator[list[Key]]:
    for batch in _batches(spool, KEYS_AT_ONCE):
        yield [tuple(key) for key, _, _ in batch]


def _batches(spool: TextIO, size: int) -> Iterator[list[Spooled]]:
    """The spool from its beginning, some lines at a time."""
    spool.seek(0)
    while lines := list(islice(spool, size)):
        yield [json.loads(line) for line in lines]
