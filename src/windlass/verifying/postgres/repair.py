"""Repair: makes the target's rows equal to the source's, and changes only what differs.

Definitions are not repaired, only reported.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TextIO

from windlass.engines.postgres.fingerprint import Pair, explained
from windlass.engines.postgres.rowdiff import RowDifference, scan_differences
from windlass.engines.postgres.rowlookup import Key, has_key
from windlass.engines.postgres.rowmend import (
    Aside,
    copy_copies,
    copy_rows,
    delete_copies,
    delete_rows,
    take_in,
    undisturbed,
)
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.model.repair import ALL, Change
from windlass.model.report import DifferenceKind

# a RowDifference in the temporary file
Spooled = tuple[list[str | None], int, int]  # key, row hash, surplus

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


_CHANGES = {
    DifferenceKind.CHANGED: Change.UPDATE,
    DifferenceKind.MISSING: Change.INSERT,
    DifferenceKind.EXTRA: Change.DELETE,
}


@dataclass(slots=True)
class Changes:
    """The rows that a repair would change: how many, and which."""

    allowed: Collection[Change] = ALL
    counts: Counter[Change] = field(default_factory=Counter)
    _sum: int = 0  # of hashes, so that the order of the rows does not matter

    def add(self, row: RowDifference) -> bool:
        """Add a difference; returns whether the row would be changed."""
        change = _CHANGES[row.kind]
        if change not in self.allowed:
            return False
        copies = _copies(row)
        # with a key, others may have written to the same row: a repair undoes that
        which = [change.value, row.key or row.row_hash, copies]
        hashed = hashlib.sha256(json.dumps(which).encode()).digest()
        self.counts[change] += copies
        self._sum = (self._sum + int.from_bytes(hashed)) % (1 << 256)
        return True

    @property
    def digest(self) -> str:
        return f"{self._sum:064x}"


def read_changes(
    source: Connection, target: Connection, pair: Pair, allowed: Collection[Change] = ALL
) -> Changes:
    """The rows that a repair would change. Reads only."""
    found = Changes(allowed)
    for row in scan_differences(source, target, pair):
        found.add(row)
    return found


def _copies(row: RowDifference) -> int:
    return max(row.source_copies, row.target_copies) if row.key else abs(row.surplus)


def _check_same(pair: Pair, found: Changes, digest: str) -> None:
    """Check that nobody has written to the target since it was compared. Rows that have become
    equal need no repair."""
    if found.counts and found.digest != digest:
        counts = ", ".join(f"{change.value}s {found.counts[change]:,}" for change in Change)
        raise WindlassError(
            f"{pair.target.name} was written to since it was compared: a repair would change other"
            f" rows ({counts})",
            hint="stop what writes there, then run the same command again",
            side="target",
        )


def repair(
    source: Connection,
    target: Connection,
    pair: Pair,
    *,
    allowed: Collection[Change] = ALL,
    aside: Aside | None = None,
    digest: str | None = None,
) -> Repaired:
    """Copy what differs again, in one target transaction that fires no trigger.

    Every key that differs loses its rows on the target and gets the source's. All are deleted
    before the first is copied, as two rows may have swapped a unique value. The keys are kept in a
    temporary file, so memory does not grow with their number. Idempotent. If `aside` is given,
    deleted rows and their replacements are kept there for `give_back`.

    Raises:
        WindlassError: the repair would change other rows than those of `digest`, to which somebody
            has agreed; foreign keys would act, and this user may not prevent it; or a server
            failed. The target is unchanged.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as spool,
        explained(pair.target, "repairing"),
        target.transaction(),
        undisturbed(target, pair.target),
    ):
        found = Changes(allowed)
        for row in scan_differences(source, target, pair):
            if found.add(row):
                spool.write(json.dumps([row.key, row.row_hash, row.surplus]) + "\n")
        if digest is not None:
            _check_same(pair, found, digest)
        if aside is not None:
            aside.make(target, pair.target)
        mend = _mend_by_key if pair.source.keyset else _mend_by_content
        done = mend(source, target, pair, spool, aside)
        if aside is not None:
            take_in(target, pair.target, aside)
        return done


def _mend_by_key(
    source: Connection, target: Connection, pair: Pair, spool: TextIO, aside: Aside | None
) -> Repaired:
    deleted = sum(
        delete_rows(target, pair.target, has_key(pair.target, keys), aside) for keys in _keys(spool)
    )
    copied = sum(
        copy_rows(source, target, pair, has_key(pair.source, keys), aside) for keys in _keys(spool)
    )
    return Repaired(deleted, copied)


def _mend_by_content(
    source: Connection, target: Connection, pair: Pair, spool: TextIO, aside: Aside | None
) -> Repaired:
    deleted = copied = 0
    for batch in _batches(spool, HASHES_AT_ONCE):
        surplus = {hash_: count for _, hash_, count in batch}
        too_many = {hash_: -count for hash_, count in surplus.items() if count < 0}
        missing = {hash_: count for hash_, count in surplus.items() if count > 0}
        deleted += delete_copies(target, pair.target, too_many, aside) if too_many else 0
        copied += copy_copies(source, target, pair, missing, aside) if missing else 0
    return Repaired(deleted, copied)


def _keys(spool: TextIO) -> Iterator[list[Key]]:
    for batch in _batches(spool, KEYS_AT_ONCE):
        yield [tuple(key) for key, _, _ in batch]


def _batches(spool: TextIO, size: int) -> Iterator[list[Spooled]]:
    """The spool from its beginning, a batch of lines at a time."""
    spool.seek(0)
    while lines := list(islice(spool, size)):
        yield [json.loads(line) for line in lines]
