"""Rows of the target deleted, and rows of the source copied again, without waking a trigger.

Everything here runs in the caller's target transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.fingerprint import Pair, Side, explained, fetch
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.rowlookup import has_hash
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError

Buffer = bytes | bytearray | memoryview

_REPAIRING = "repairing"

_WAKEFUL = (
    "select name, enabled, before, after from ({0}) as wakeful where relation in"
    " (select {1}::regclass::oid::bigint union all select relid::bigint"
    " from pg_partition_tree({1}::regclass) where relid <> {1}::regclass)"
)


@contextmanager
def undisturbed(target: Connection, side: Side) -> Iterator[None]:
    """Keep other writers out; triggers, rules and foreign keys' cascades do nothing meanwhile.

    Raises:
        WindlassError: this user may not keep foreign keys from acting.
    """
    name = sql.Literal(side.table.as_string(target))
    with explained(side, _REPAIRING):
        target.execute(sql.SQL("lock table {} in share row exclusive mode").format(side.rows))
    found: list[Any] = fetch(target, side, sql.SQL(_WAKEFUL).format(load("wakeful"), name))
    if found and _acts_as_replica(target):
        # those that are enabled for the origin alone do not fire in this session
        found = [row for row in found if row[1] != "O"]
    if any(not before for _, _, before, _ in found):
        raise WindlassError(
            f"repairing {side.name} would set off its foreign keys",
            hint="connect to the target as a superuser, or, on version 15 or later, grant set on"
            f' parameter session_replication_role to "{target.info.user}"',
            side=side.side,
        )
    _run(target, side, [before for _, _, before, _ in found])
    yield
    _run(target, side, [after for _, _, _, after in found])


def _acts_as_replica(target: Connection) -> bool:
    """Whether the rest of the transaction may do as replication does."""
    try:
        with target.transaction():
            target.execute("set local session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _run(target: Connection, side: Side, statements: Iterable[str]) -> None:
    """Statements that the server has put together."""
    with explained(side, _REPAIRING):
        for statement in statements:
            target.execute(statement.encode())


def delete_rows(target: Connection, side: Side, condition: sql.Composed) -> int:
    """How many there were."""
    query = sql.SQL("delete from {} where {}").format(side.rows, condition)
    with explained(side, _REPAIRING):
        return target.execute(query).rowcount


def delete_copies(target: Connection, side: Side, surplus: Mapping[int, int]) -> int:
    """Of rows that are the same, by row hash, as many as are too many."""
    query = sql.SQL(
        "delete from {rows} where (tableoid, ctid) in"
        " (select place, spot from ({numbered}) as found"
        " join {wanted} on found.hash = wanted.hash where number <= wanted.copies)"
    ).format(
        rows=side.rows,
        numbered=_numbered(side, surplus, [sql.SQL("tableoid as place"), sql.SQL("ctid as spot")]),
        wanted=_wanted(surplus),
    )
    with explained(side, _REPAIRING):
        return target.execute(query).rowcount


def copy_rows(source: Connection, target: Connection, pair: Pair, condition: sql.Composed) -> int:
    """The source's rows of the condition into the target; how many."""
    query = sql.SQL("select {} from {} where {}").format(
        _names(pair.source), pair.source.rows, condition
    )
    return _copy(source, target, pair, query)


def copy_copies(
    source: Connection, target: Connection, pair: Pair, missing: Mapping[int, int]
) -> int:
    """Of rows that are the same, by row hash, as many as are missing."""
    columns = [
        sql.SQL("{} as {}").format(sql.Identifier(column.name), sql.Identifier(f"column_{at}"))
        for at, column in enumerate(pair.source.columns)
    ]
    query = sql.SQL(
        "select {names} from ({numbered}) as found join {wanted} on found.hash = wanted.hash"
        " where number <= wanted.copies"
    ).format(
        names=_list(sql.Identifier("found", f"column_{at}") for at in range(len(columns))),
        numbered=_numbered(pair.source, missing, columns),
        wanted=_wanted(missing),
    )
    return _copy(source, target, pair, query)


def _copy(source: Connection, target: Connection, pair: Pair, query: sql.Composed) -> int:
    """As text, which every type has; in blocks, so nothing of the size of a result is held."""
    out = sql.SQL("copy ({}) to stdout (encoding 'UTF8')").format(query)
    into = sql.SQL("copy {}{} from stdin (encoding 'UTF8')").format(
        pair.target.table,
        # a list of no columns is no syntax, and not needed
        sql.SQL(" ({})").format(_names(pair.target)) if pair.target.columns else sql.SQL(""),
    )
    with explained(pair.target, _REPAIRING), target.cursor() as writing:
        with writing.copy(into) as sink:
            for block in _blocks(source, pair.source, out):
                sink.write(block)
        return writing.rowcount


def _blocks(source: Connection, side: Side, query: sql.Composed) -> Iterator[Buffer]:
    with explained(side, _REPAIRING), source.cursor() as cursor, cursor.copy(query) as blocks:
        yield from blocks


def _numbered(
    side: Side, hashes: Mapping[int, int], columns: Sequence[sql.Composable]
) -> sql.Composed:
    """The rows with these hashes, counted among their equals."""
    number = sql.SQL("row_number() over (partition by {}) as number").format(side.row_hash)
    return sql.SQL("select {columns} from {rows} where {condition}").format(
        columns=_list([sql.SQL("{} as hash").format(side.row_hash), number, *columns]),
        rows=side.rows,
        condition=has_hash(side, hashes),
    )


def _wanted(copies: Mapping[int, int]) -> sql.Composed:
    return sql.SQL("unnest({}::bigint[], {}::bigint[]) as wanted (hash, copies)").format(
        sql.Literal(list(copies)), sql.Literal(list(copies.values()))
    )


def _names(side: Side) -> sql.Composed:
    return _list(sql.Identifier(column.name) for column in side.columns)


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
