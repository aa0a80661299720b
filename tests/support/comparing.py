"""The two sides of a comparison as the flows open them, without a migration before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from servers import Pair as Databases
from windlass.engines.postgres.catalog import read_catalog
from windlass.engines.postgres.fingerprint import (
    Fingerprint,
    Pair,
    Side,
    read_fingerprints,
    root_pair,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.model.chunk import Range, Whole
from windlass.model.plan import Arrival, ColumnPlan, RelationPlan
from windlass.model.relation import Name, Relation
from windlass.model.report import Difference
from windlass.planning.postgres.table_plans import plan_column
from windlass.verifying.postgres.content import find_differences
from windlass.verifying.postgres.repair import Repaired, repair


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sessions; the source's is read-only, in a transaction with a snapshot."""

    source: Connection
    target: Connection

    def pair(self, source: str, target: str | None = None) -> Pair:
        """Of two relations, given as ``schema.name``; their columns are matched by name."""
        here, there = read_catalog(self.source), read_catalog(self.target)
        left = here.relation(_name(source))
        right = there.relation(_name(target or source))
        assert left is not None and right is not None
        plan = RelationPlan(
            relation=left,
            target=right.name,
            arrival=Arrival.CREATE,
            wire=left.wire,
            columns=tuple(_columns(left, right)),
            chunks=(),
            batch="",
            enters=left.family.root or right.name,
            root=left.family.root,
        )
        return root_pair(plan, here.server, there.server)

    def fingerprints(self, pair: Pair) -> tuple[Fingerprint, Fingerprint]:
        return (
            read_fingerprint(self.source, pair.source),
            read_fingerprint(self.target, pair.target),
        )

    def differences(
        self, pair: Pair, *, limit: int = 1000, show_values: bool = False
    ) -> list[Difference]:
        return find_differences(
            self.source, self.target, pair, limit=limit, show_values=show_values
        )

    def repair(self, pair: Pair) -> Repaired:
        return repair(self.source, self.target, pair)


@contextmanager
def open_sides(databases: Databases, user: str = "postgres") -> Iterator[Sides]:
    """Call it when the source is as it should be: its snapshot is taken here."""
    source = Address.parse("source", databases.source.url).connect(Role.SOURCE, "test")
    target = Address.parse("target", databases.target.url_for(user)).connect(Role.TARGET, "test")
    with source, target:
        source.execute("begin isolation level repeatable read")
        source.execute("select")
        yield Sides(source, target)


def read_fingerprint(
    connection: Connection, side: Side, range_: Range | None = None
) -> Fingerprint:
    """Of all rows, or of those in the range."""
    [found] = read_fingerprints(connection, [(side, range_ or Whole())])
    return found


def _name(text: str) -> Name:
    schema, _, name = text.partition(".")
    return Name(schema, name)


def _columns(left: Relation, right: Relation) -> Iterator[ColumnPlan]:
    there = {column.name: column for column in right.columns}
    for column in left.columns:
        if other := there.get(column.name):
            yield plan_column(column, other)
