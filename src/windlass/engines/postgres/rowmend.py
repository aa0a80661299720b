"""Deletes rows of the target and copies rows of the source again, without firing triggers.

Everything here runs in the caller's target transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.copy_in import Buffer, send
from windlass.engines.postgres.fingerprint import Pair, Side, explained, fetch
from windlass.engines.postgres.hashing import HashedColumn
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.rowlookup import has_hash
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError

_REPAIRING = "repairing"

_WAKEFUL = (
    "select name, enabled, before, after from ({0}) as wakeful where relation in"
    " (select {1}::regclass::oid::bigint union all select relid::bigint"
    " from pg_partition_tree({1}::regclass) where relid <> {1}::regclass)"
)


@contextmanager
def undisturbed(target: Connection, side: Side) -> Iterator[None]:
    """Lock out other writers, and disable triggers, rules and cascades of foreign keys until the
    end.

    Raises:
        WindlassError: this user may not disable foreign keys.
    """
    name = sql.Literal(side.table.as_string(target))
    with explained(side, _REPAIRING):
        target.execute(sql.SQL("lock table {} in share row exclusive mode").format(side.rows))
    found: list[Any] = fetch(target, side, sql.SQL(_WAKEFUL).format(load("wakeful"), name))
    if found and act_as_replica(target):
        # triggers enabled for origin only do not fire in this session
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


def act_as_replica(target: Connection) -> bool:
    """Try to set session_replication_role = replica for the transaction; whether that is
    allowed."""
    try:
        with target.transaction():
            target.execute("set local session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _run(target: Connection, side: Side, statements: Iterable[str]) -> None:
    """Run statements that a query of the server composed."""
    with explained(side, _REPAIRING):
        for statement in statements:
            target.execute(statement.encode())


@dataclass(frozen=True, slots=True)
class Aside:
    """Two tables in a repair's schema: the old rows, and the new rows that replaced them."""

    schema: str
    number: int

    @property
    def old(self) -> sql.Identifier:
        return sql.Identifier(self.schema, f"old_{self.number}")

    @property
    def new(self) -> sql.Identifier:
        return sql.Identifier(self.schema, f"new_{self.number}")

    def make(self, target: Connection, side: Side) -> None:
        """Create both, empty: the old one with all columns, the new one with the copied columns."""
        form = sql.SQL("create table {} as select {} from {} where false")
        with explained(side, _REPAIRING):
            target.execute(form.format(self.old, sql.SQL("*"), side.rows))
            names = _list(sql.Identifier(column.name) for column in _own(side))
            target.execute(form.format(self.new, names, side.rows))


def delete_rows(
    target: Connection, side: Side, condition: sql.Composed, aside: Aside | None = None
) -> int:
    """Delete rows; returns how many. They are kept in `aside` if that is given."""
    query = sql.SQL("delete from {} where {}").format(side.rows, condition)
    if aside is not None:
        query = sql.SQL(
            "with gone as ({} returning {}.*) insert into {} select * from gone"
        ).format(query, side.table, aside.old)
    with explained(side, _REPAIRING):
        return target.execute(query).rowcount


def delete_copies(
    target: Connection, side: Side, surplus: Mapping[int, int], aside: Aside | None = None
) -> int:
    """Delete surplus copies of equal rows, by row hash."""
    condition = sql.SQL(
        "(tableoid, ctid) in"
        " (select place, spot from ({numbered}) as found"
        " join {wanted} on found.hash = wanted.hash where number <= wanted.copies)"
    ).format(
        numbered=_numbered(side, surplus, [sql.SQL("tableoid as place"), sql.SQL("ctid as spot")]),
        wanted=_wanted(surplus),
    )
    return delete_rows(target, side, condition, aside)


def take_in(target: Connection, side: Side, aside: Aside) -> int:
    """Insert the new rows after all of them are staged."""
    return _insert(target, side, aside.new, [column.name for column in _own(side)])


def _insert(target: Connection, side: Side, rows: sql.Identifier, columns: Sequence[str]) -> int:
    names = _list(map(sql.Identifier, columns))
    form = "insert into {} ({}) overriding system value select {} from {}"
    if not columns:
        form = "insert into {}{} select{} from {}"
    query = sql.SQL(form).format(side.table, names, names, rows)
    with explained(side, _REPAIRING):
        return target.execute(query).rowcount


def give_back(target: Connection, side: Side, aside: Aside) -> tuple[int, int, int]:
    """Undo a repair: delete the new rows that are unchanged, and insert the old ones. Returns how
    many were to be deleted, how many were, and how many were inserted."""
    own = side.hashing.of(_own(side))
    counted = sql.SQL("(select {hash} as hash, count(*) as copies from {new} group by 1)").format(
        hash=own, new=aside.new
    )
    condition = sql.SQL(
        "(tableoid, ctid) in (select place, spot from (select {hash} as hash,"
        " row_number() over (partition by {hash}) as number, tableoid as place, ctid as spot"
        " from {rows}) found join {counted} wanted on found.hash = wanted.hash"
        " where number <= wanted.copies)"
    ).format(hash=own, rows=side.rows, counted=counted)
    with explained(side, "undoing the repair of"):
        wanted: list[Any] = target.execute(
            sql.SQL("select count(*) from {}").format(aside.new)
        ).fetchall()
        columns: list[Any] = target.execute(
            "select attname::text from pg_attribute where attrelid = %s::regclass"
            " and attnum > 0 and not attisdropped and attgenerated = '' order by attnum",
            (side.table.as_string(target),),
        ).fetchall()
    out = delete_rows(target, side, condition)
    return int(wanted[0][0]), out, _insert(target, side, aside.old, [row[0] for row in columns])


def copy_rows(
    source: Connection,
    target: Connection,
    pair: Pair,
    condition: sql.Composed,
    aside: Aside | None = None,
) -> int:
    """Copy the source's rows that meet the condition into the target, or `aside`; returns how
    many."""
    query = sql.SQL("select {} from {} where {}").format(
        _list(sql.Identifier(one.name) for one, _ in _written(pair)), pair.source.rows, condition
    )
    return _copy(source, target, pair, query, aside)


def copy_copies(
    source: Connection,
    target: Connection,
    pair: Pair,
    missing: Mapping[int, int],
    aside: Aside | None = None,
) -> int:
    """Copy missing copies of equal rows, by row hash."""
    columns = [
        sql.SQL("{} as {}").format(sql.Identifier(column.name), sql.Identifier(f"column_{at}"))
        for at, (column, _) in enumerate(_written(pair))
    ]
    query = sql.SQL(
        "select {names} from ({numbered}) as found join {wanted} on found.hash = wanted.hash"
        " where number <= wanted.copies"
    ).format(
        names=_list(sql.Identifier("found", f"column_{at}") for at in range(len(columns))),
        numbered=_numbered(pair.source, missing, columns),
        wanted=_wanted(missing),
    )
    return _copy(source, target, pair, query, aside)


def _copy(
    source: Connection, target: Connection, pair: Pair, query: sql.Composed, aside: Aside | None
) -> int:
    """Copy as text, which every type supports, block by block in constant memory."""
    names = [sql.Identifier(column.name) for _, column in _written(pair)]
    out = sql.SQL("copy ({}) to stdout (encoding 'UTF8')").format(query)
    into = sql.SQL("copy {}{} from stdin (encoding 'UTF8')").format(
        aside.new if aside else pair.target.table,
        # an empty column list is a syntax error, and not needed
        sql.SQL(" ({})").format(_list(names)) if names else sql.SQL(""),
    )
    with explained(pair.target, _REPAIRING), target.cursor() as writing:
        with writing.copy(into) as sink:
            for block in _blocks(source, pair.source, out):
                send(sink, block)
        return writing.rowcount


def _blocks(source: Connection, side: Side, query: sql.Composed) -> Iterator[Buffer]:
    with explained(side, _REPAIRING), source.cursor() as cursor, cursor.copy(query) as blocks:
        yield from blocks


def _numbered(
    side: Side, hashes: Mapping[int, int], columns: Sequence[sql.Composable]
) -> sql.Composed:
    """The rows with these hashes, numbered among equal rows."""
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


def _own(side: Side) -> list[HashedColumn]:
    """The target's columns that can be written."""
    return [column for column in side.columns if not column.computed]


def _written(pair: Pair) -> list[tuple[HashedColumn, HashedColumn]]:
    """The columns that can be copied, on both sides; generated columns cannot."""
    both = zip(pair.source.columns, pair.target.columns, strict=True)
    return [(source, target) for source, target in both if not target.computed]


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
