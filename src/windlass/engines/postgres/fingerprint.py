"""Fingerprints: a relation's rows as two numbers, computed inside the server.

`hashing` maps a row to a number; this module sums over the rows of a range.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain, explaining
from windlass.engines.postgres.hashing import HashedColumn, Hashing, Method
from windlass.engines.postgres.mapped import rows
from windlass.engines.postgres.ranges import condition
from windlass.engines.postgres.session import Connection
from windlass.model.chunk import Range
from windlass.model.mapping import Mapping
from windlass.model.plan import ColumnPlan, Form, RelationPlan, Server
from windlass.model.relation import Column, HashBy, Name, Relation


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of some rows. Fingerprints of disjoint ranges add up to that of their
    union."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(self.rows + other.rows, self.total + other.total)

    def to_json(self) -> list[int | str]:
        """A total may be more than 64 bits: as text."""
        return [self.rows, str(self.total)]

    @classmethod
    def from_json(cls, json: Sequence[int | str]) -> Fingerprint:
        rows, total = json
        return cls(int(rows), int(total))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a pair: what to read there, and how its rows are hashed."""

    side: str  # "source" or "target"
    relation: Relation
    columns: tuple[HashedColumn, ...]  # in the order of the other side's
    keyset: tuple[HashedColumn, ...]  # empty where rows can only be told apart by content
    hashing: Hashing
    with_partitions: bool = False  # a partitioned relation: its rows are its partitions'
    mapping: Mapping | None = None  # through which it is read: the columns have its names

    @property
    def name(self) -> Name:
        return self.relation.name

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier(self.name.schema, self.name.name)

    @property
    def rows(self) -> sql.Composed:
        """The FROM item. ONLY, because a row belongs to one relation, even with inheritance."""
        if self.with_partitions:
            return sql.SQL("{}").format(self.table)
        return rows(self.name, self.mapping)

    @property
    def row_hash(self) -> sql.Composable:
        return self.hashing.of(self.columns)

    @property
    def key_hash(self) -> sql.Composable:
        """Of the keyset; of the whole row where there is none."""
        return self.hashing.of(self.keyset or self.columns)


@dataclass(frozen=True, slots=True)
class Pair:
    """A relation on the source and its counterpart on the target."""

    source: Side
    target: Side


def pair(plan: RelationPlan, source: Server, target: Server) -> Pair:
    """How to compare a planned relation: what each side computes."""
    compared = [column for column in plan.columns if not column.dropped]
    known = {column.name: column for column in plan.relation.columns}
    hashed = [_hashed(column, known[column.source]) for column in compared]
    method = Method.between(source.version, target.version)
    apart = source.encoding != target.encoding
    at = {column.source: position for position, column in enumerate(compared)}
    keyset = plan.relation.keyset if all(name in at for name in plan.relation.keyset) else ()

    def side(name: str, server: Server, relation: Relation, which: int) -> Side:
        converts = apart and server.encoding not in ("UTF8", "SQL_ASCII")
        return Side(
            name,
            relation,
            tuple(both[which] for both in hashed),
            tuple(hashed[at[key]][which] for key in keyset),
            Hashing(method, converts),
        )

    return Pair(
        replace(side("source", source, plan.relation, 0), mapping=plan.mapping),
        side("target", target, _on_target(plan), 1),
    )


def root_pair(plan: RelationPlan, source: Server, target: Server) -> Pair:
    """The pair in which to look for single rows.

    Where partitions are chosen by a hash of object ids, a row of the relation may be in another
    partition on the target: there the partitioned relations are compared, else the two relations.
    """
    found = pair(plan, source, target)
    if plan.root is None:
        return found

    def at(side: Side, name: Name) -> Side:
        return replace(side, relation=replace(side.relation, name=name), with_partitions=True)

    return Pair(at(found.source, plan.root), at(found.target, plan.enters))


def read_fingerprints(
    connection: Connection, parts: Sequence[tuple[Side, Range]], *, only_count: bool = False
) -> list[Fingerprint]:
    """The fingerprint of each part, in one round trip: for many small relations that saves half of
    the time."""
    if not parts:
        return []
    queries = [
        sql.SQL("select {}::int, count(*), {} from {} where {}").format(
            sql.Literal(place),
            sql.SQL("0::numeric" if only_count else "coalesce(sum({}), 0)").format(
                *([] if only_count else [side.row_hash])
            ),
            side.rows,
            condition(range_, side.relation),
        )
        for place, (side, range_) in enumerate(parts)
    ]
    first, others = parts[0][0], len(parts) - 1
    doing = f"comparing {first.name}" + (f" and {others} other relations" if others else "")
    query = sql.SQL(" union all ").join(queries)
    try:
        rows: list[Any] = list(connection.execute(query, binary=True))
    except psycopg.Error as error:
        raise explain(error, doing, side=first.side) from error
    return [Fingerprint(int(count), int(total)) for _, count, total in sorted(rows)]


def fetch(
    connection: Connection, side: Side, query: sql.Composed, values: Any = None
) -> list[tuple[Any, ...]]:
    """All rows of a small result about the relation.

    Raises:
        WindlassError: the server's reason, naming the relation and the side.
    """
    with explained(side):
        return list(connection.execute(query, values, binary=True))


def explained(side: Side, doing: str = "comparing") -> AbstractContextManager[None]:
    """Map a driver's error to ours, naming the relation and the side."""
    return explaining(f"{doing} {side.name}", side=side.side)


def _hashed(plan: ColumnPlan, column: Column) -> tuple[HashedColumn, HashedColumn]:
    """A column as the source and as the target hash it.

    Each side hashes its own value. Only if the user accepted that values change on arrival is the
    source's value converted first: that loss is counted, and any other difference still shows.
    """
    source = HashedColumn(plan.source, plan.source_type, column.hash_by)
    if how := plan.conversion:
        arrives_as = how.target if how.accepted else ""
        source = replace(source, hash_by=HashBy.TEXT, form=how.form, arrives_as=arrives_as)
    target = replace(
        source, name=plan.target, type=plan.target_type, arrives_as="", computed=plan.generated
    )
    if source.arrives_as:
        source, target = (replace(one, form=Form.TEXT) for one in (source, target))
    return replace(source, computed=column.generated), target


def _on_target(plan: RelationPlan) -> Relation:
    columns = tuple(Column(column.target, column.target_type) for column in plan.columns)
    return replace(plan.relation, name=plan.target, columns=columns, identity="", keyset=(), key=())
