"""Both ends of a bulk copy: COPY out of the source and COPY into the target.

The bytes are moved by a `Bulk` session: asyncpg's, or libpq's if asyncpg cannot connect as the
address asks (`windlass.engines.postgres.bulk` decides). Both stop reading their socket while the
consumer is busy. There is no other back-pressure; it keeps memory independent of the relation's
size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.mapped import rows
from windlass.engines.postgres.ranges import condition
from windlass.model.chunk import Range, Whole
from windlass.model.mapping import Mapping
from windlass.model.relation import Name, Relation, Wire

Write = Callable[[bytes], Awaitable[None]]


@cache
def faults() -> tuple[type[Exception], ...]:
    """The drivers' exceptions. Loads asyncpg; commands that copy nothing start without it."""
    import asyncpg

    return (asyncpg.PostgresError, asyncpg.InterfaceError, psycopg.Error, OSError, EOFError)


@dataclass(frozen=True, slots=True)
class Out:
    """What COPY reads: a whole relation by its name, or else the rows of `query`."""

    name: Name
    columns: Sequence[str]
    form: Wire
    query: str = ""


@dataclass(frozen=True, slots=True)
class In:
    """What COPY writes to."""

    name: Name
    columns: Sequence[str]
    form: Wire
    freeze: bool  # needs the relation emptied in the same transaction


class Bulk(Protocol):
    """A session that moves rows. Raises its driver's errors, all of them `faults`."""

    async def copy_out(self, what: Out, write: Write) -> None:
        """COPY TO STDOUT, passing every block to `write`."""

    async def copy_in(self, what: In, blocks: AsyncIterator[bytes]) -> int:
        """COPY FROM STDIN fed by `blocks`; the number of rows that arrived."""

    async def execute(self, statement: str) -> str:
        """Run one or several statements in one round trip; returns the last one's command tag."""

    @property
    def is_closed(self) -> bool:
        """Whether the session is known to have ended."""

    def cancel(self) -> None:
        """End a wait outside the event loop; from any thread."""

    def terminate(self) -> None:
        """Hang up. The server rolls back what was open."""


def select_range(
    relation: Relation, columns: Sequence[str], range_: Range, mapping: Mapping | None = None
) -> str:
    """The query that COPY reads a chunk with. ONLY: children are separate relations."""
    query = sql.SQL("select {} from {} where {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        rows(relation.name, mapping),
        condition(range_, relation),
    )
    return query.as_string(None)


async def copy_out(
    source: Bulk,
    relation: Relation,
    columns: Sequence[str],
    range_: Range,
    form: Wire,
    write: Write,
    mapping: Mapping | None = None,
) -> None:
    """COPY one chunk TO STDOUT, passing every block to `write`.

    A whole relation is copied by name, which spares the executor; COPY by name is always ONLY, and
    leaves out generated columns.
    """
    computed = {column.name for column in relation.columns if column.generated}
    by_name = isinstance(range_, Whole) and computed.isdisjoint(columns) and mapping is None
    query = "" if by_name else select_range(relation, columns, range_, mapping)
    try:
        await source.copy_out(Out(relation.name, columns, form, query), write)
    except faults() as error:
        raise explain(error, f"reading {relation.name}", side="source") from error


async def copy_in(
    target: Bulk,
    name: Name,
    columns: Sequence[str],
    form: Wire,
    blocks: AsyncIterator[bytes],
    *,
    freeze: bool,
) -> int:
    """COPY FROM STDIN fed by `blocks`; the number of rows that arrived.

    FREEZE needs the relation emptied in the same transaction. The caller's transaction stays open;
    it is broken if this raises.
    """
    try:
        return await target.copy_in(In(name, columns, form, freeze), blocks)
    except faults() as error:
        raise explain(error, f"writing {name}", side="target") from error


async def truncate(target: Bulk, name: Name) -> None:
    """Empty a relation of this run, which FREEZE and loading without WAL (wal_level = minimal)
    require."""
    statement = sql.SQL("truncate only {}").format(sql.Identifier(name.schema, name.name))
    await execute(target, statement.as_string(None), f"emptying {name}")


async def execute(target: Bulk, statement: str, doing: str) -> str:
    """Statements on a session of the relay; the last one's tag. Raises our errors."""
    try:
        return await target.execute(statement)
    except faults() as error:
        raise explain(error, doing, side="target") from error
