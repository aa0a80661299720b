"""Puts the rows of a rewrite back from its backup, or restores them in a table beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from psycopg.errors import DependentObjectsStillExist

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier, may_create_in, read_columns, read_table
from windlass.errors import Refused
from windlass.inplace.backup import check_access, find_place, owner_of, place_of
from windlass.inplace.deleted import find as find_deleted
from windlass.inplace.deleted import read_keys
from windlass.inplace.relatives import read_problems
from windlass.inplace.staging import same_image
from windlass.inplace.triggers import RESETS, RESETS_HINT, read_resetting
from windlass.model.past import Others
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.model.units import plural
from windlass.model.wording import word

FORCE = f"leave them by {word('skip-changed')}, or save them and roll back with {word('force')}"
# in this transaction, outside of savepoints; from PostgreSQL 12 on
_WRITTEN_NOW: LiteralString = " and t.xmin = (txid_current() % 4294967296)::text::xid"


@dataclass(frozen=True, slots=True)
class Done:
    """What a run has done to its table, as far as known."""

    added: Sequence[str]  # columns
    changed: Sequence[str]  # columns that it has written
    deleted: int  # rows that it deleted and did not restore itself
    transactions: sql.Composed  # a query for the ids of those in which it wrote
    undone: Sequence[str] = ()  # later runs that were rolled back, which has written rows too


@dataclass(frozen=True, slots=True)
class Restored:
    put_back: int = 0  # rows that differed
    inserted: int = 0  # rows that were gone
    dropped_columns: tuple[str, ...] = ()
    kept_columns: tuple[str, ...] = ()
    skipped: int = 0  # rows that others have changed or deleted since
    altered: int = 0  # rows that were put back, and that triggers have changed


def find_backup(connection: Connection, plan: RewritePlan) -> Name:
    """Raises:
    Refused: it no longer exists, or belongs to another run.
    """
    what = f"run {plan.run}"
    if not plan.keeps_backup:
        raise Refused([Problem(what, "kept no backup", "its spec said backup: none")])
    found = find_place(connection, plan)
    if found is not None:
        check_access(connection, plan, found.name)
        return found
    place = place_of(plan)
    if read_table(connection, place) is None:
        raise Refused([Problem(what, f"its backup {place} no longer exists")])
    table, owner = owner_of(connection, place)
    is_later = owner and table == str(plan.table)
    theirs = f"of run {owner}, which came later" if is_later else "none of this table any more"
    raise Refused([Problem(what, f"its backup is gone: {place} is {theirs}")])


def put_back(
    connection: Connection, plan: RewritePlan, done: Done, others: Others = Others.REFUSE
) -> Restored:
    """Make rows what they are in the backup, in the caller's transaction. Rows that the backup does
    not have stay.

    Raises:
        Refused: rows cannot be told apart, or the table has changed; or others have changed rows
            since, and `others` does not say what becomes of them.
    """
    table = identifier(plan.table)
    connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(table))
    beside = _beside(connection, plan, done)
    _expect_own_rows(connection, plan, beside, done)
    theirs = 0 if others is Others.LOSE else beside.count_others(connection, done)
    if theirs and others is Others.REFUSE:
        raise Refused(_lost(connection, plan, beside, done, theirs))
    own = sql.SQL(" and t.xmin in ({})").format(done.transactions) if theirs else sql.Composed([])
    wanted = beside.count_differing(connection, own)
    put = beside.update(connection, own)
    gone = _count(connection, beside.count_gone(mine=bool(theirs)))
    if theirs and 0 < done.deleted < gone and beside.deleted is None:
        message = f"of {plural(gone, 'row')} that are gone the run has deleted {done.deleted}"
        hint = f"which of them is not known: restore them with {word('into')}, and insert yours"
        raise Refused([Problem(str(plan.table), message, hint)])
    inserted = 0
    if done.deleted or not theirs:
        wanted += gone
        inserted = beside.insert(connection, mine=bool(theirs))
    if kept := wanted - put - inserted:
        message = f"a BEFORE trigger returns NULL for {plural(kept, 'row')} that would come back"
        raise Refused([Problem(str(plan.table), message, "disable it for the rollback")])
    altered = beside.count_differing(connection, sql.SQL(_WRITTEN_NOW))
    dropped, stay = _drop_columns(connection, plan, beside.nulls)
    return Restored(put, inserted, dropped, stay, theirs, altered)


def restore_beside(connection: Connection, plan: RewritePlan, into: Name) -> int:
    """Copy the backup's rows into a new table; returns their number.

    Raises:
        Refused: the backup no longer exists, the table does, or its schema does not.
    """
    backup = find_backup(connection, plan)
    if may_create_in(connection, into.schema) is not True:
        message = "is missing, or this user may not create tables in it"
        raise Refused([Problem(f"schema {into.schema}", message, "create it, or grant create")])
    if read_table(connection, into) is not None:
        raise Refused([Problem(str(into), "exists", "name a table that does not")])
    making = sql.SQL("create table {} as select * from only {}")
    rows = connection.execute(making.format(identifier(into), identifier(backup))).rowcount
    text = f"Rows of {plan.table} as they were before windlass run {plan.run}."
    comment = sql.SQL("comment on table {} is {}").format(identifier(into), sql.Literal(text))
    connection.execute(comment)
    return rows


def _lost(
    connection: Connection, plan: RewritePlan, beside: _Beside, done: Done, theirs: int
) -> list[Problem]:
    """Reported separately: rows that the rollback of a later run has put back. It is not known
    whether that also restored what others had written between the two runs."""
    table, found = str(plan.table), []
    restored = 0
    if done.undone:
        by_rollback = sql.SQL(" and t.xmin in (select xmin from windlass.run where run = any({}))")
        restored = beside.count_differing(connection, by_rollback.format(list(done.undone)))
    if theirs > restored:
        rows = plural(theirs - restored, "row")
        message = f"{rows} that others have changed or deleted since would be lost"
        found.append(Problem(table, message, FORCE))
    if restored:
        rows, runs = plural(restored, "row"), " and ".join(done.undone)
        message = f"{rows} last written by the rollback of {runs}, maybe as others had made them"
        hint = (
            f"if nobody wrote to them between the two runs, roll back with {word('force')}; else"
            f" {word('skip-changed')} leaves them, and {word('into')} restores them beside"
        )
        found.append(Problem(table, message, hint))
    return found


def _expect_own_rows(
    connection: Connection, plan: RewritePlan, beside: _Beside, done: Done
) -> None:
    """Raises:
    Refused: the statements would read or write other tables' rows too, or do something else.
    """
    inserts = bool(_count(connection, beside.count_gone()))
    found = read_problems(connection, plan.table, plan.number, False, inserts=inserts)
    found += read_problems(connection, beside.backup, _oid(connection, beside.backup), False)
    if keys := read_resetting(connection, plan.number, done.changed):
        found.append(Problem(str(plan.table), f"{RESETS}: {', '.join(keys)}", RESETS_HINT))
    if found:
        raise Refused(found)


def count_others(connection: Connection, plan: RewritePlan, done: Done) -> int:
    """How many rows a rollback would overwrite or insert that others have changed or deleted since
    the run. Changes nothing.

    Raises:
        Refused: rows cannot be told apart, or the table has changed.
    """
    return _beside(connection, plan, done).count_others(connection, done)


def _count(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))


def _beside(connection: Connection, plan: RewritePlan, done: Done) -> _Beside:
    backup = find_backup(connection, plan)
    columns = read_columns(connection, plan.number)
    found = {one.name: one.type for one in columns}
    kept = read_columns(connection, _oid(connection, backup))
    lost = [one.name for one in kept if one.name not in found]
    if lost:
        message = f"{', '.join(lost)}: {plan.table} no longer has these columns of the backup"
        raise Refused([Problem(f"run {plan.run}", message, "restore it by hand")])
    names = {one.name for one in kept}
    stored = [one for one in columns if one.name in names and not one.generated]
    key = _key(connection, plan, backup, done.changed)
    return _Beside(
        plan.table,
        backup,
        find_deleted(connection, plan.run, key),
        key,
        [one.name for one in stored],
        # all but GENERATED ALWAYS AS IDENTITY, which no UPDATE can set to a value
        [one.name for one in stored if one.identity != "a"],
        [name for name in done.added if name in found],
    )


@dataclass(frozen=True, slots=True)
class _Beside:
    """A table, `t`, and its backup, `b`: their rows are matched by `key`."""

    table: Name
    backup: Name
    deleted: Name | None  # the keys of rows that the run has deleted, if they are known
    key: tuple[str, ...]
    stored: list[str]  # columns of both
    may_change: list[str]
    nulls: list[str]  # columns that are null in rows of the backup

    @property
    def _same_key(self) -> sql.Composed:
        return self._same("t")

    def _same(self, alias: LiteralString) -> sql.Composed:
        pairs = zip(_of(alias, self.key), _of("b", self.key), strict=True)
        return sql.SQL(" and ").join(sql.SQL("{} = {}").format(*pair) for pair in pairs)

    @property
    def _differs(self) -> sql.Composed:
        added = [sql.SQL(" or t.{} is not null").format(sql.Identifier(n)) for n in self.nulls]
        same = same_image(_of("t", self.stored), _of("b", self.stored))
        return sql.SQL("(not {}{})").format(same, sql.Composed(added))

    def _gone(self, *, mine: bool) -> sql.Composed:
        """Rows that only the backup has; `mine`: without those that others have deleted, if they
        can be told apart."""
        form = sql.SQL("{} b where not exists (select from {} t where {})")
        gone = form.format(identifier(self.backup), identifier(self.table), self._same_key)
        if not mine or self.deleted is None:
            return gone
        by_run = sql.SQL(" and exists (select from {} d where {})")
        return gone + by_run.format(identifier(self.deleted), self._same("d"))

    def count_gone(self, *, mine: bool = False) -> sql.Composed:
        return sql.SQL("select count(*) from {}").format(self._gone(mine=mine))

    def count_others(self, connection: Connection, done: Done) -> int:
        theirs = sql.SQL(" and t.xmin not in ({})").format(done.transactions)
        gone = _count(connection, self.count_gone())
        known = done.deleted
        if self.deleted is not None:
            known = _count(connection, self.count_gone(mine=True))
        return self.count_differing(connection, theirs) + max(gone - known, 0)

    def count_differing(self, connection: Connection, which: sql.Composable) -> int:
        """How many rows differ from the backup's; `which` narrows them down."""
        query = sql.SQL("select count(*) from {} t join {} b on {} where {}{}").format(
            identifier(self.table), identifier(self.backup), self._same_key, self._differs, which
        )
        return _count(connection, query)

    def update(self, connection: Connection, which: sql.Composable) -> int:
        """Make rows that differ the backup's; `which` narrows them down. Returns their number."""
        values = zip(self.may_change, _of("b", self.may_change), strict=True)
        sets = [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values]
        sets += [sql.SQL("{} = null").format(sql.Identifier(name)) for name in self.nulls]
        form = sql.SQL("update {} t set {} from {} b where {} and {}{}")
        query = form.format(
            identifier(self.table),
            sql.SQL(", ").join(sets),
            identifier(self.backup),
            self._same_key,
            self._differs,
            which,
        )
        return connection.execute(query).rowcount

    def insert(self, connection: Connection, *, mine: bool) -> int:
        """How many rows were gone; see `_gone`."""
        comma = sql.SQL(", ")
        form = sql.SQL("insert into {} ({}) overriding system value select {} from {}")
        query = form.format(
            identifier(self.table),
            comma.join(map(sql.Identifier, self.stored)),
            comma.join(_of("b", self.stored)),
            self._gone(mine=mine),
        )
        return connection.execute(query).rowcount


def _of(alias: LiteralString, names: Sequence[str]) -> list[sql.Composed]:
    return [sql.SQL("{}.{}").format(sql.SQL(alias), sql.Identifier(name)) for name in names]


def _oid(connection: Connection, name: Name) -> int:
    found = read_table(connection, name)
    assert found is not None
    return found.oid


def _key(
    connection: Connection, plan: RewritePlan, backup: Name, changed: Sequence[str]
) -> tuple[str, ...]:
    """Columns that identify rows and have the same values in the rows as before: a key of the
    table, else `id` if it does. A stamp in the key, as in a table partitioned by time, has changed;
    a key made since may not hold for the backup.

    Raises:
        Refused: nothing does.
    """
    keys = read_keys(connection, plan.number)
    moved = {*changed, plan.stamp}
    for key in keys:
        if not moved.intersection(key) and _holds_for(connection, backup, key):
            return key
    if plan.id not in moved and _tells_apart(connection, plan, backup):
        return (plan.id,)
    lacking = f"{plan.table} has no key"
    if keys:
        changes = ", ".join(sorted(moved.intersection(keys[0])))
        lacking = f"it has changed {changes} of the key" if changes else "its key came later"
    message = f"{lacking}, and {plan.id} does not tell its rows apart" if plan.id else lacking
    hint = f"restore by hand from {backup}; {word('into')} puts its rows into a new table"
    raise Refused([Problem(f"run {plan.run}", message, hint)])


def _holds_for(connection: Connection, backup: Name, key: Sequence[str]) -> bool:
    """Whether columns identify the rows of a backup."""
    names = {one.name for one in read_columns(connection, _oid(connection, backup))}
    if not names.issuperset(key):
        return False
    columns = sql.SQL(", ").join(map(sql.Identifier, key))
    doubled = sql.SQL(
        "select exists (select from {} group by {} having count(*) > 1 or num_nulls({}) > 0)"
    ).format(identifier(backup), columns, columns)
    row = connection.execute(doubled).fetchone()
    return not (row and row[0])


def _tells_apart(connection: Connection, plan: RewritePlan, backup: Name) -> bool:
    """Whether `id` identifies the rows of the backup, and those of the table with its ids."""
    if plan.id not in {one.name for one in plan.columns if one.is_grouped}:
        return False
    id_ = sql.Identifier(plan.id)
    doubled = sql.SQL(
        "select exists (select from {table} where {id} in (select {id} from {backup})"
        " group by {id} having count(*) > 1)"
    ).format(backup=identifier(backup), table=identifier(plan.table), id=id_)
    row = connection.execute(doubled).fetchone()
    return not (row and row[0]) and _holds_for(connection, backup, [plan.id])


def _drop_columns(
    connection: Connection, plan: RewritePlan, made: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop columns that the run added, unless other rows use them now."""
    dropped, stay = [], []
    for name in made:
        column = sql.Identifier(name)
        table = identifier(plan.table)
        used = sql.SQL("select exists (select from {} where {} is not null)").format(table, column)
        row = connection.execute(used).fetchone()
        if row and row[0]:
            stay.append(name)
            continue
        try:
            with connection.transaction():
                connection.execute(sql.SQL("alter table {} drop column {}").format(table, column))
            dropped.append(name)
        except DependentObjectsStillExist:
            stay.append(name)
    return tuple(dropped), tuple(stay)
