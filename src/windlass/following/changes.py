"""What is applied at once: changes of whole source transactions, in the source's order.

Decides nothing about how they are applied.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn
from windlass.engines.postgres.replication.messages import (
    Delete,
    Insert,
    Relation,
    Truncate,
    Update,
)

# a Relation comes before the first change that refers to it
Change = Insert | Update | Delete | Truncate | Relation
_OF_ROWS = frozenset({Insert, Update, Delete})


class Marker(NamedTuple):
    """A row of `windlass.marker` of our run that came through the stream."""

    number: int
    purpose: str  # lag, seal, proof
    commit_lsn: Lsn


class SchemaChange(NamedTuple):
    """A statement that the source's event trigger noted."""

    before: int  # the index of the first change after it
    statement: str
    tag: str
    objects: str


@dataclass(slots=True)
class Batch:
    """Changes for one target transaction.

    It holds whole source transactions, with one exception: a huge one comes in several batches,
    the first of which `opens` it and the last of which `closes` it; all of them belong to one
    target transaction. Every other batch does both.
    """

    changes: list[Change] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # index of each transaction's first change
    commits: list[Lsn] = field(default_factory=list)  # the commit_lsn of each of `starts`
    ends: list[Lsn] = field(default_factory=list)  # its end_lsn; NOWHERE before it closes
    transactions: int = 0  # that end here
    rows: int = 0  # inserts, updates and deletes
    size_bytes: int = 0
    commit_lsn: Lsn = NOWHERE  # of its last transaction
    end_lsn: Lsn = NOWHERE  # of its last transaction; not known before the batch that closes it
    committed_at: int = 0  # of its last transaction: microseconds since 2000-01-01 UTC
    markers: tuple[Marker, ...] = ()
    schema_changes: tuple[SchemaChange, ...] = ()
    opens: bool = True
    closes: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole transactions only."""
        return self.opens and self.closes

    def add(self, changes: Sequence[Change], commit_lsn: Lsn, end_lsn: Lsn) -> None:
        """Add a transaction, or what is there of one."""
        self.starts.append(len(self.changes))
        self.commits.append(commit_lsn)
        self.ends.append(end_lsn)
        self.changes += changes
        self.rows += sum(map(_OF_ROWS.__contains__, map(type, changes)))
        self.commit_lsn, self.end_lsn = commit_lsn, end_lsn
        self.transactions += end_lsn != NOWHERE

    def commit_of(self, index: int) -> Lsn:
        """The commit_lsn of the transaction to which the change at `index` belongs."""
        return self.commits[bisect_right(self.starts, index) - 1]

    def count_before(self, lsn: int) -> int:
        """How many of its transactions were committed before `lsn`."""
        return bisect_left(self.commits, lsn)

    def count_idle(self) -> int:
        """How many transactions come before the first one that changes something."""
        if self.schema_changes:
            return 0
        first = next((at for at, one in enumerate(self.changes) if type(one) is not Relation), None)
        return len(self.starts) if first is None else bisect_right(self.starts, first) - 1

    def split(self, count: int) -> tuple[Batch | None, Batch | None]:
        """A batch of whole transactions, split into its first `count` transactions and the others;
        None for an empty part."""
        if count <= 0:
            return None, self
        if count >= len(self.starts):
            return self, None
        return self._part(0, count), self._part(count, len(self.starts))

    def singles(self) -> Iterator[Batch]:
        """Each transaction of a batch of whole transactions, as a separate batch."""
        yield from (self._part(at, at + 1) for at in range(len(self.starts)))

    def _part(self, low: int, high: int) -> Batch:
        """A range of its transactions. A batch with a schema change has only one, and is never
        cut."""
        part = Batch(committed_at=self.committed_at)
        bounds = [*self.starts, len(self.changes)]
        for at in range(low, high):
            changes = self.changes[bounds[at] : bounds[at + 1]]
            part.add(changes, self.commits[at], self.ends[at])
        part.size_bytes = self.size_bytes * len(part.changes) // max(len(self.changes), 1)
        part.markers = tuple(one for one in self.markers if one.commit_lsn in part.commits)
        part.schema_changes = self.schema_changes
        return part
