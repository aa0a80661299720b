"""Undoes what one load has changed, for rows that are still as the load left them.

That is decided by the hash of each row (`windlass.engines.postgres.landing.applying`). For rows
without identifying columns it is decided by the transaction that wrote them (xmin).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.applying import same_key
from windlass.engines.postgres.landing.columns import find_oid, listed, named, read_columns
from windlass.engines.postgres.landing.expecting import described_key
from windlass.engines.postgres.landing.images import hash_of
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.model.past import Others
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import plural

SHOWN = 20
_XMIN = (1 << 32) - 1
_OLDEST = 1 << 31  # after so many transactions, an xmin may belong to another one


@dataclass(frozen=True, slots=True)
class Applied:
    """What the journal's line of a load says about undoing it."""

    load: str
    table: Name
    undo: Name | None  # of before-images; None: all its rows are known by its transaction
    ident: tuple[str, ...]
    columns: tuple[str, ...]
    xid: int  # of the load's transaction, with its epoch
    settings: str
    inserted: int
    created: bool
    added: tuple[str, ...]
    restored: tuple[int, ...] = ()  # transactions that have put rows of it back, as xmin has them

    @classmethod
    def of(cls, load: str, note: Mapping[str, Any], restored: Sequence[int] = ()) -> Applied:
        return cls(
            load,
            Name.read(note["table"]),
            Name.read(note["undo"]) if note.get("undo") else None,
            tuple(note["ident"]),
            tuple(note["columns"]),
            int(note["xid"]),
            note["settings"],
            int(note["inserted"]),
            bool(note.get("created")),
            tuple(note.get("added", ())),
            tuple(restored),
        )

    @property
    def own(self) -> tuple[int, ...]:
        """The transactions, as xmin has them, of rows that are still as the load left them."""
        return (self.xid & _XMIN, *self.restored)


@dataclass(frozen=True, slots=True)
class Changed:
    """Rows of a load that others have changed since."""

    rows: int
    keys: tuple[str, ...] = ()

    def problems(self, load: str) -> list[Problem]:
        if not self.rows:
            return []
        message = f"{plural(self.rows, 'row')} changed or deleted by others since the load"
        if not self.keys:
            return [Problem(load, message)]
        more = self.rows - len(self.keys)
        problems = [
            Problem(f"{load} ({key})", "changed or deleted since the load") for key in self.keys
        ]
        return [*problems, *([Problem(load, f"{more:,} more such rows")] if more else [])]


class Undoing:
    """Of one load, in the caller's transaction, in which the load's settings hold."""

    def __init__(self, connection: Connection, applied: Applied) -> None:
        """Raises:
        WindlassError: the table, or a column of it, is gone.
        """
        self._connection, self.applied = connection, applied
        self.written: dict[str, str] = {}  # by a load's transaction, the one that put rows back
        oid = find_oid(connection, applied.table)
        if oid is None:
            raise WindlassError(
                f"{applied.table} is gone, so that the load of it cannot be undone",
                hint="restore the table, or roll back what has removed it",
            )
        found = {one.name: one for one in read_columns(connection, oid)}
        if lost := [one for one in applied.columns if one not in found]:
            raise WindlassError(
                f"{applied.table} has lost the column(s) {', '.join(lost)} since the load",
                hint="add them again, or restore the rows from"
                f" {applied.undo or 'a backup'} by hand",
            )
        self._columns = named(found.values(), applied.columns)
        self._ident = named(found.values(), applied.ident)

    # what others have done

    def changed(self) -> Changed:
        """Rows that are no longer as the load left them.

        Raises:
            WindlassError: the load is so old that they cannot be distinguished from others.
        """
        if not self._ident:
            return self._changed_by_transaction()
        self._run(sql.SQL("analyze {}").format(self._undo))  # autovacuum may not have been there
        keys = [sql.SQL("u.{}::text").format(one.identifier) for one in self._ident]
        query = sql.SQL(
            "select pg_catalog.count(*) over (), array[{}] from ({}) u limit {}"
        ).format(listed(keys), self._rows(own=False), sql.Literal(SHOWN))
        rows = self._connection.execute(query).fetchall()
        shown = [
            described_key(self.applied.ident, values)
            for _, values in rows
            if isinstance(values, list)
        ]
        return Changed(int(str(rows[0][0])) if rows else 0, tuple(shown))

    def _changed_by_transaction(self) -> Changed:
        self._check_age()
        query = sql.SQL("select pg_catalog.count(*) from {} t where {}").format(
            self._target, self._is_ours
        )
        row = self._connection.execute(query).fetchone()
        there = int(str(row[0])) if row else 0
        if there > self.applied.inserted:
            raise WindlassError(
                f"{self.applied.load}: rows of the load cannot be distinguished from older ones",
                hint="delete them by hand",
            )
        return Changed(self.applied.inserted - there)

    def _check_age(self) -> None:
        row = self._connection.execute("select pg_catalog.txid_current()").fetchone()
        if row is None or int(str(row[0])) - self.applied.xid >= _OLDEST:
            raise WindlassError(
                f"{self.applied.load} was loaded so many transactions ago that its rows cannot be"
                " distinguished from older ones",
                hint="delete them by hand",
            )

    # statements

    def restore(self, others: Others, before: Sequence[Applied] = ()) -> int:
        """Restore rows; returns how many. `Others.SKIP` leaves out those that others have changed;
        `Others.LOSE` includes them. Rows of the loads `before`, which are recognised by their
        transactions, are restored in a subtransaction for each load, which is then in `written`."""
        if not self._ident:
            self._check_age()
            done = self._run(
                sql.SQL("delete from {} t where {}").format(self._target, self._is_ours)
            )
            if self.applied.undo is None:
                return done
            is_deleted = sql.SQL("u.{} = 'd'").format(sql.Identifier(names.KIND))
            return done + self._by_writer(
                before, lambda wrote: self._insert_from(self._undo, _both(is_deleted, wrote))
            )
        assert self.applied.undo is not None
        kept = f"{self.applied.undo.name}_now"
        rows = sql.SQL("select * from {}").format(self._undo)
        if others is not Others.LOSE:
            rows = self._rows(own=True)
        # decided once, before anything is put back
        self._run(
            sql.SQL("create temporary table {} on commit drop as {}").format(
                sql.Identifier(kept), rows
            )
        )
        self._run(sql.SQL("analyze {}").format(sql.Identifier("pg_temp", kept)))
        return self._restore(sql.Identifier("pg_temp", kept), before, loses=others is Others.LOSE)

    def _restore(self, kept: sql.Identifier, before: Sequence[Applied], *, loses: bool) -> int:
        same = same_key("t", "u", self._ident)
        still = same if loses else _both(same, self._is_as_made)
        kind = sql.Identifier(names.KIND)
        delete = sql.SQL("delete from {} t using {} u where u.{} = {} and {}")
        if loses:  # rows that others have inserted in the place of deleted ones
            self._run(delete.format(self._target, kept, kind, sql.Literal("d"), same))
        done = self._run(delete.format(self._target, kept, kind, sql.Literal("i"), still))
        settable = [one for one in self._columns if one.is_settable]
        update = sql.SQL("update {} t set {} from {} u where u.{} = 'u' and {} and {}")
        sets = listed(sql.SQL("{0} = u.{0}").format(one.identifier) for one in settable)
        lost = sql.SQL("u.{} = 'd'").format(kind)
        if loses:  # deleted by others since they were updated
            lost = sql.SQL(
                "(u.{0} = 'd' or (u.{0} = 'u' and not exists (select from {1} t where {2})))"
            ).format(kind, self._target, same)

        def put_back(wrote: sql.Composable) -> int:
            rows = 0
            if settable:
                rows = self._run(update.format(self._target, sets, kept, kind, still, wrote))
            return rows + self._insert_from(kept, _both(lost, wrote))

        return done + self._by_writer(before, put_back)

    def _by_writer(
        self, before: Sequence[Applied], put_back: Callable[[sql.Composable], int]
    ) -> int:
        """Restore rows separately for each load that wrote them, so that they can be recognised by
        a transaction again."""
        wrote = sql.Identifier("u", names.WROTE)
        rest: sql.Composable = sql.SQL("true")
        done = 0
        for one in before:
            own = sql.Literal([str(xid) for xid in one.own])
            with self._connection.transaction():
                rows = put_back(sql.SQL("{} = any ({}::xid[])").format(wrote, own))
                if rows:
                    self.written[str(one.xid)] = self._subtransaction()
            done += rows
            apart = sql.SQL("({} is null or {} <> all ({}::xid[]))").format(wrote, wrote, own)
            rest = _both(rest, apart)
        return done + put_back(rest)

    def _subtransaction(self) -> str:
        """The id of the open subtransaction, as xmin of the rows that it writes."""
        make = "create temporary table windlass_wrote on commit drop as select 1 as one"
        self._connection.execute(make)
        row = self._connection.execute("select xmin::text from pg_temp.windlass_wrote").fetchone()
        self._connection.execute("drop table pg_temp.windlass_wrote")
        assert row is not None
        return str(row[0])

    def _insert_from(self, source: sql.Identifier, condition: sql.Composable) -> int:
        given = [one for one in self._columns if not one.generated]
        return self._run(
            sql.SQL(
                "insert into {} ({}) overriding system value select {} from {} u where {}"
            ).format(
                self._target,
                listed(one.identifier for one in given),
                listed(sql.SQL("u.{}").format(one.identifier) for one in given),
                source,
                condition,
            )
        )

    # conditions

    def _rows(self, *, own: bool) -> sql.Composed:
        """The before-images of rows that are still as the load left them; without `own`, those of
        all other rows: a row that the load wrote was changed or is gone, or a row that it deleted
        is back. A row that was deleted and inserted again counts once, as inserted."""
        arms = [
            "select u.* from {undo} u where u.{kind} <> 'd'"
            " and {made}exists (select from {table} t where {same} and {as_made})",
            "select u.* from {undo} u where u.{kind} = 'd' and {deleted}exists"
            " (select from {table} t where {same}) and not exists ({twin})",
        ]
        if own:
            arms.append(
                "select u.* from {undo} u where u.{kind} = 'd' and exists"
                " ({twin} and exists (select from {table} t where {twin_same} and {twin_made}))"
            )
        twin = sql.SQL("select from {} w where w.{} = 'i' and {}").format(
            self._undo, sql.Identifier(names.KIND), same_key("w", "u", self._ident)
        )
        return sql.SQL(" union all ".join(arms)).format(
            undo=self._undo,
            kind=sql.Identifier(names.KIND),
            made=sql.SQL("" if own else "not "),
            deleted=sql.SQL("not " if own else ""),
            table=self._target,
            same=same_key("t", "u", self._ident),
            as_made=self._is_as_made,
            twin=twin,
            twin_same=same_key("t", "w", self._ident),
            twin_made=sql.SQL("{} = w.{}").format(
                hash_of("t", self._columns), sql.Identifier(names.MADE)
            ),
        )

    @property
    def _is_as_made(self) -> sql.Composed:
        return sql.SQL("{} = u.{}").format(hash_of("t", self._columns), sql.Identifier(names.MADE))

    @property
    def _is_ours(self) -> sql.Composed:
        return sql.SQL("t.xmin = any ({}::xid[])").format(
            sql.Literal([str(one) for one in self.applied.own])
        )

    @property
    def _target(self) -> sql.Identifier:
        return names.identifier(self.applied.table)

    @property
    def _undo(self) -> sql.Identifier:
        assert self.applied.undo is not None
        return names.identifier(self.applied.undo)

    def _run(self, statement: sql.Composed) -> int:
        return self._connection.execute(statement, prepare=False).rowcount


def _both(one: sql.Composable, other: sql.Composable) -> sql.Composed:
    return sql.SQL("{} and {}").format(one, other)


def stayed_of(
    found: Mapping[str, Changed], others: Others, applied: Sequence[Applied]
) -> list[str]:
    """What was not restored, for people."""
    said = [
        f"{load}: {plural(one.rows, 'row')} changed or deleted by others since the load"
        for load, one in found.items()
        if one.rows and (others is Others.SKIP or not _is_identified(load, applied))
    ]
    added = [
        f"{one.load}: the column(s) {', '.join(one.added)}, which the load added"
        for one in applied
        if one.added and not one.created
    ]
    return [*said, *added]


def _is_identified(load: str, applied: Sequence[Applied]) -> bool:
    return any(one.load == load and one.ident for one in applied)
