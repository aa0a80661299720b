"""Mapped tables some of whose columns are made after the source was read: what is read of them, and
the rows that it should have become, made again to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from windlass.engines.origin import Origin
from windlass.engines.postgres.foreign.digests import (
    Proven,
    read_buckets,
    read_digest,
    read_rows,
)
from windlass.engines.postgres.session import Address, Connection
from windlass.flows.mapped.apart import closable
from windlass.flows.mapped.calling import is_late, read_columns
from windlass.flows.mapped.proving import made_again
from windlass.model.chunk import Range, Whole
from windlass.model.plan import Plan, RelationPlan
from windlass.model.translation import Digest, Reading, Row


def to_make(item: RelationPlan) -> Reading:
    """What is read of the source, also what the target computes."""
    assert item.reading is not None, "planned by another flow"
    names = {one.source for one in read_columns(item)}
    fields = tuple(one for one in item.reading.fields if one.name in names)
    return replace(item.reading, fields=fields)


def probe_made(plan: Plan, origin: Origin, target: Connection) -> Plan:
    """With what trying functions and SQL of the target has found."""
    if not any(map(is_late, plan.relations)):
        return plan
    from windlass.flows.mapped.probing import ROWS, probe

    def lines(item: RelationPlan) -> bytes:
        blocks = closable(origin.lines(to_make(item), Whole()))
        with closing(blocks):
            first = next(blocks, b"")
        return b"".join(first.splitlines(keepends=True)[:ROWS])

    return probe(plan, target, lines)


class MadeAgain:
    """The rows of a relation, as they should have arrived: those of a range, or all."""

    def __init__(self, origin: Origin, target: Address, item: RelationPlan, proven: Proven) -> None:
        self._origin, self._target, self._item, self._proven = origin, target, item, proven

    def digest(self, range_: Range) -> Digest:
        with self._made(range_, smaller=2) as (session, proven):
            return read_digest(session, proven)

    @contextmanager
    def rows(self) -> Iterator[_Rows]:
        """All of them, made once more."""
        with self._made(Whole(), smaller=3) as (session, proven):
            yield _Rows(session, proven)

    @contextmanager
    def _made(self, range_: Range, *, smaller: int) -> Iterator[tuple[Connection, Proven]]:
        lines = self._origin.lines(to_make(self._item), range_)
        with made_again(self._target, self._item, lines, smaller=smaller) as (session, table):
            yield session, replace(self._proven, name=table)


class _Rows:
    def __init__(self, session: Connection, proven: Proven) -> None:
        self._session, self._proven = session, proven

    def digest(self) -> Digest:
        return read_digest(self._session, self._proven)

    def buckets(self) -> Mapping[int, Digest]:
        return read_buckets(self._session, self._proven)

    def of(self, buckets: Sequence[int]) -> Iterator[Row]:
        return read_rows(self._session, self._proven, buckets)
