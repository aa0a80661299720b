"""What is applied at once: changes of whole source transactions, in the source's order.

Decides nothing about how they are applied.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
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

# a Relation stands where the source describes a relation for the first time, or differently
Change = Insert | Update | Delete | Truncate | Relation


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


class Transaction(NamedTuple):
    """One source transaction of a batch: its changes are those from `first` up to `end`."""

    first: int
    end: int
    commit_lsn: Lsn


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
    transactions: int = 0  # that end here, also those without a change that we apply
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

    def commit_of(self, index: int) -> Lsn:
        """The commit_lsn of the transaction to which the change at `index` belongs."""
        return self.commits[bisect_right(self.starts, index) - 1]

    def each_transaction(self) -> Iterator[Transaction]:
        """The source transactions that have changes, in their order."""
        ends = [*self.starts[1:], len(self.changes)]
        yield from map(Transaction, self.starts, ends, self.commits)
