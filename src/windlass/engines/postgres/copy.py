"""Both ends of a bulk copy: COPY out of the source and COPY into the target, as asyncpg sees them.

asyncpg hands COPY data over in blocks of about 250 kB and stops reading the socket while its
consumer is busy, which is all the back-pressure there is: memory does not grow with the relation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import asyncpg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.ranges import condition
from windlass.model.chunk import Range, Whole
from windlass.model.relation import Name, Relation, Wire

FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, EOFError)


def select_range(relation: Relation, columns: Sequence[str], range_: Range) -> str:
    """The query that COPY reads a chunk with. ONLY: children are relations of their own."""
    query = sql.SQL("select {} from only {} where {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(relation.name.schema, relation.name.name),
        condition(range_, relation),
    )
    return query.as_string(None)


async def copy_out(
    source: asyncpg.Connection,
    relation: Relation,
    columns: Sequence[str],
    range_: Range,
    form: Wire,
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """COPY one chunk TO STDOUT, passing every block to `write`.

    A whole relation is copied by name, which spares the executor; COPY by name is always ONLY.
    """
    try:
        if isinstance(range_, Whole):
            name = relation.name
            await source.copy_from_table(
                name.name,
                schema_name=name.schema,
                columns=columns or None,
                output=write,
                format=form.value,
            )
        else:
            query = select_range(relation, columns, range_)
            await source.copy_from_query(query, output=write, format=form.value)
    except FAULTS as error:
        raise explain(error, f"reading {relation.name}", side="source") from error


async def copy_in(
    target: asyncpg.Connection,
    name: Name,
    columns: Sequence[str],
    form: Wire,
    blocks: AsyncIterator[bytes],
    *,
    freeze: bool,
) -> int:
    """COPY FROM STDIN fed by `blocks`; the number of rows that arrived.

    FREEZE needs the relation emptied in the same transaction. A transaction of the caller's is
    left open, or broken if this raises.
    """
    try:
        status = await target.copy_to_table(
            name.name,
            schema_name=name.schema,
            columns=columns or None,
            source=blocks,
            format=form.value,
            freeze=freeze or None,
        )
    except FAULTS as error:
        raise explain(error, f"writing {name}", side="target") from error
    return int(status.rpartition(" ")[2])


async def truncate(target: asyncpg.Connection, name: Name) -> None:
    """Empty a relation of this run, as FREEZE and WAL-less loading (wal_level = minimal) ask."""
    statement = sql.SQL("truncate only {}").format(sql.Identifier(name.schema, name.name))
    await execute(target, statement.as_string(None), f"emptying {name}")


async def execute(target: asyncpg.Connection, statement: str, doing: str) -> None:
    """A statement on a session of the relay. Raises our errors."""
    try:
        await target.execute(statement)
    except FAULTS as error:
        raise explain(error, doing, side="target") from error


async def fetch_row(target: asyncpg.Connection, query: str, doing: str) -> Sequence[object] | None:
    """The first row of a query on a session of the relay. Raises our errors."""
    try:
        row: Sequence[object] | None = await target.fetchrow(query)
    except FAULTS as error:
        raise explain(error, doing, side="target") from error
    return row
