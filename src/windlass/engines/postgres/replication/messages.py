"""The messages of `pgoutput` as values. Manual: "Logical Replication Message Formats".

Messages about changes are named tuples, because millions of them are made, and these are the
fastest to make. Test the kind of a message by `type(message) is Insert`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from windlass.engines.postgres.replication.lsn import Lsn


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


# a value that is stored out of line, was not changed by the UPDATE, and so was not sent
UNCHANGED = Unchanged.UNCHANGED

# a value is the server's text, in the encoding of the stream's session (UTF-8); None is NULL
Value = bytes | Unchanged | None
Row = tuple[Value, ...]


class Begin(NamedTuple):
    """A transaction begins; all of it has been committed."""

    commit_lsn: Lsn  # where its commit record begins
    committed_at: int  # microseconds since 2000-01-01 UTC
    xid: int


class Commit(NamedTuple):
    """The transaction's end."""

    commit_lsn: Lsn  # that of its Begin
    end_lsn: Lsn  # where its commit record ends
    committed_at: int


class Origin(NamedTuple):
    """The transaction was replicated to the sender from elsewhere."""

    commit_lsn: Lsn  # on the server that it came from
    name: str


class RelationColumn(NamedTuple):
    """A published column, in the order of values of a row."""

    name: str
    type_id: int
    modifier: int
    is_key: bool  # of the replica identity; under FULL every column is


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """A relation as later changes describe it.

    Equal only by identity, which makes it a fast key: the decoder returns the same object as long
    as the server describes the relation in the same way, and another one after the description has
    changed.
    """

    id: int
    schema: str
    name: str
    identity: str  # pg_class.relreplident: d(efault), n(othing), f(ull), i(ndex)
    columns: tuple[RelationColumn, ...]

    def describes_the_same(self, other: Relation) -> bool:
        """Whether all that is known of both is equal."""
        mine = (self.id, self.schema, self.name, self.identity, self.columns)
        return mine == (other.id, other.schema, other.name, other.identity, other.columns)


class TypeName(NamedTuple):
    """The name of a type that is not built in; comes before the Relation that uses it."""

    id: int
    schema: str
    name: str


class Insert(NamedTuple):
    relation: Relation
    new: Row


class Update(NamedTuple):
    relation: Relation
    old: Row | None  # None: the identity's values are those in `new`
    is_key_only: bool  # `old` has the identity's values, and None for all other columns
    new: Row


class Delete(NamedTuple):
    relation: Relation
    old: Row
    is_key_only: bool


class Truncate(NamedTuple):
    relations: tuple[Relation, ...]
    is_cascade: bool
    restarts_identity: bool


class LogicalMessage(NamedTuple):
    """Written by `pg_logical_emit_message`."""

    is_transactional: bool
    lsn: Lsn
    prefix: str
    content: bytes


Message = (
    Begin
    | Commit
    | Origin
    | Relation
    | TypeName
    | Insert
    | Update
    | Delete
    | Truncate
    | LogicalMessage
)
