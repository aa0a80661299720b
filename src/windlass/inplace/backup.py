"""The backup of a rewrite: a plain table with the rewritten table's name, in a separate schema.

It is made under another name and counted; only then does it replace the previous one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.errors import DependentObjectsStillExist

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import (
    identifier,
    may_create_in,
    read_columns,
    read_name,
    read_table,
)
from windlass.errors import Refused, TargetFull, WindlassError
from windlass.inplace import access
from windlass.inplace.staging import Staging, same_image
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.model.units import plural
from windlass.model.wording import word

_COMMENT = "Backup of {} by windlass run {}."
HINT = "drop or rename it, or name another backup-schema"
FORCE = f"save them, or roll back with {word('force')}"


@dataclass(frozen=True, slots=True)
class Done:
    """What a run has done to its table, as far as known."""

    added: Sequence[str]  # columns
    changed: Sequence[str]  # columns that it has written
    deleted: int  # rows that it deleted and did not restore itself
    transactions: sql.Composed  # a query for the ids of those in which it wrote


@dataclass(frozen=True, slots=True)
class Restored:
    put_back: int = 0  # rows that differed
    inserted: int = 0  # rows that were gone
    dropped_columns: tuple[str, ...] = ()
    kept_columns: tuple[str, ...] = ()


def place_of(plan: RewritePlan) -> Name:
    return Name(plan.kept.schema, plan.table.name)


def _new_place(plan: RewritePlan) -> Name:
    return Name(plan.kept.schema, f"windlass_{plan.run}")


def owner_of(connection: Connection, backup: Name) -> tuple[str, str]:
    """The table that a backup is of, and the run that made it; empty if the table is not one of our
    backups."""
    row = connection.execute(
        "select obj_description(c.oid, 'pg_class') from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s",
        (backup.schema, backup.name),
    ).fetchone()
    words = r"Backup of (.*) by windlass run (\S+)\."
    found = re.fullmatch(words, str(row[0] or ""), re.DOTALL) if row else None
    return (found[1], found[2]) if found else ("", "")


def find_place(connection: Connection, plan: RewritePlan) -> Name | None:
    """Where a run's backup is: in its place, or, before the run has written, beside it."""
    old, new = place_of(plan), _new_place(plan)
    if owner_of(connection, old) == (str(plan.table), plan.run):
        return old
    return new if read_table(connection, new) else None


def drop_backup(connection: Connection, backup: Name, run: str) -> None:
    """Drop it if it still belongs to that run, inside the caller's transaction.

    Raises:
        Refused: something else depends on it.
    """
    is_unfinished = backup.name == f"windlass_{run}"  # it gets its comment with its place
    if not is_unfinished and owner_of(connection, backup)[1] != run:
        return  # it belongs to a later run now
    try:
        connection.execute(sql.SQL("drop table if exists {}").format(identifier(backup)))
    except DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or str(error)).replace("\n", "; ")
        hint = "drop that, or let it refer to something else"
        raise Refused([Problem(f"table {backup}", f"is in use: {detail}", hint)]) from None


def whose(owner: tuple[str, str], table: Name) -> str:
    """Why the backup's place cannot be taken; empty if it holds an earlier run's backup."""
    if not owner[1]:
        return "has the name of the backup, and is none of ours"
    return f"holds the backup of {owner[0]}" if owner[0] != str(table) else ""


def copy(connection: Connection, staging: Staging) -> int:
    """Make the backup beside the previous one; returns its rows. The caller's transaction has one
    snapshot.

    Raises:
        WindlassError: it is not complete.
    """
    plan = staging.plan
    if may_create_in(connection, plan.kept.schema) is None:
        schema = sql.Identifier(plan.kept.schema)
        connection.execute(sql.SQL("create schema {}").format(schema))
    new = _new_place(plan)
    _check(connection, plan)
    if plan.kept.level == "full":
        source = sql.SQL("select * from {}").format(staging.target)
    else:
        parts = [staging.table(), *([staging.table("_others")] if plan.deletes_by_key else [])]
        ordinals = sql.SQL(" union all ").join(
            sql.SQL("select ordinal from {}").format(part) for part in parts
        )
        source = staging.old_rows(ordinals, named=True)
    connection.execute(sql.SQL("create table {} as {}").format(identifier(new), source))
    rows = _count(connection, sql.SQL("select count(*) from {}").format(identifier(new)))
    wanted = _count(connection, sql.SQL("select count(*) from ({}) q").format(source))
    if rows != wanted:
        raise WindlassError(
            f"the backup {new} has {rows} rows, not {wanted}",
            hint="run the same command again: the backup is made again",
        )
    return rows


def _check(connection: Connection, plan: RewritePlan, *names: str) -> None:
    """Raises:
    Refused: another role could take the backup away, or make us run its code.
    """
    if problems := access.read_problems(connection, plan.table, plan.kept.schema, *names):
        raise Refused(problems)


def _count(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))


def lock_place(connection: Connection, plan: RewritePlan) -> None:
    """Lock it for `swap`, in the same transaction, before any row is locked: somebody may be
    reading the previous backup.

    Raises:
        Refused: something else is there now, or the new backup is gone.
    """
    old, new = place_of(plan), _new_place(plan)
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (str(old),))
    if read_table(connection, old):
        said = whose(owner_of(connection, old), plan.table)
        if said:
            raise Refused([Problem(str(old), said, HINT)])
        connection.execute(sql.SQL("lock table {}").format(identifier(old)))
    if read_table(connection, new) is None:
        raise Refused([Problem(str(new), "the backup of this run is gone", "begin a new run")])


def swap(connection: Connection, plan: RewritePlan) -> None:
    """Move the new backup into its place, and drop the previous one, in the caller's
    transaction."""
    old, new = place_of(plan), _new_place(plan)
    connection.execute(sql.SQL("drop table if exists {}").format(identifier(old)))
    name = sql.Identifier(old.name)
    connection.execute(sql.SQL("alter table {} rename to {}").format(identifier(new), name))
    text = sql.Literal(_COMMENT.format(plan.table, plan.run))
    connection.execute(sql.SQL("comment on table {} is {}").format(identifier(old), text))


def drop_unfinished(connection: Connection, plan: RewritePlan) -> None:
    """Drop what `copy` made and `swap` has not used: the previous backup stays."""
    if plan.keeps_backup:
        new = identifier(_new_place(plan))
        connection.execute(sql.SQL("drop table if exists {}").format(new))


def keep_touched(connection: Connection, staging: Staging) -> None:
    """Keep in a backup of touched rows only those that the run has deleted or written so far: a
    rollback must not undo what others changed after they were read."""
    place = find_place(connection, staging.plan)
    if place is None:
        return
    touched = sql.SQL(" union all ").join(
        sql.SQL("select ordinal from {}").format(staging.table(part))
        for part in ("_gone", "_written")
        if staging.exists(connection, part)
    )
    connection.execute(sql.SQL("delete from {}").format(identifier(place)))
    connection.execute(
        sql.SQL("insert into {} {}").format(
            identifier(place), staging.old_rows(touched, named=True)
        )
    )


# deleted rows, back from the staging tables


@dataclass(frozen=True, slots=True)
class Returned:
    """The rows that were to be restored. `kept_in` is the table that has all of them, if some could
    not be."""

    rows: int = 0
    wanted: int = 0
    kept_in: str = ""


def return_deleted(connection: Connection, staging: Staging, ordinals: sql.Composable) -> Returned:
    """Insert rows again as they were read, in the caller's transaction. Rows that no longer fit
    into the table are kept in a separate one."""
    plan = staging.plan
    wanted = _count(
        connection, sql.SQL("select count(*) from ({}) q").format(staging.old_rows(ordinals))
    )
    name = read_name(connection, plan.oid)
    if not wanted or name is None:  # if the table was dropped, so were they
        return Returned()
    before = {one.number: one for one in plan.columns}
    pairs = [
        (sql.Identifier(one.name), sql.Identifier(before[one.number].old))
        for one in read_columns(connection, plan.oid)
        if one.number in before and not one.generated
    ]
    query = sql.SQL(
        "insert into {} ({}) overriding system value select {} from ({}) q on conflict do nothing"
    ).format(
        identifier(name),
        sql.SQL(", ").join(column for column, _ in pairs),
        sql.SQL(", ").join(old for _, old in pairs),
        staging.old_rows(ordinals),
    )
    try:
        with connection.transaction():
            rows = connection.execute(query).rowcount
            connection.execute("set constraints all immediate")
    except psycopg.Error as error:
        found = explain(error, "putting rows back", side="database")
        if found.retryable or isinstance(found, TargetFull):
            raise
        rows = 0
    if rows == wanted:
        return Returned(rows, wanted)
    kept = Name("windlass", f"kept_{plan.run}")
    connection.execute(
        sql.SQL("create table {} as {}").format(
            identifier(kept), staging.old_rows(ordinals, named=True)
        )
    )
    return Returned(rows, wanted, str(kept))


# the way back


def find_backup(connection: Connection, plan: RewritePlan) -> Name:
    """Raises:
    Refused: it no longer exists, or belongs to another run.
    """
    what = f"run {plan.run}"
    if not plan.keeps_backup:
        raise Refused([Problem(what, "kept no backup", "its spec said backup: none")])
    found = find_place(connection, plan)
    if found is not None:
        _check(connection, plan, found.name)
        return found
    place = place_of(plan)
    if read_table(connection, place) is None:
        raise Refused([Problem(what, f"its backup {place} no longer exists")])
    table, owner = owner_of(connection, place)
    is_later = owner and table == str(plan.table)
    theirs = f"of run {owner}, which came later" if is_later else "none of this table any more"
    raise Refused([Problem(what, f"its backup is gone: {place} is {theirs}")])


def put_back(
    connection: Connection, plan: RewritePlan, done: Done, *, force: bool = False
) -> Restored:
    """Make rows what they are in the backup, in the caller's transaction. Rows that the backup does
    not have stay.

    Raises:
        Refused: rows cannot be told apart, or the table has changed; or others have changed rows
            since, and `force` is not given.
    """
    table = identifier(plan.table)
    connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(table))
    beside = _beside(connection, plan, done)
    if not force and (rows := beside.count_others(connection, done)):
        message = f"{plural(rows, 'row')} that others have changed or deleted since would be lost"
        raise Refused([Problem(str(plan.table), message, FORCE)])
    restored = beside.put_back(connection)
    dropped, stay = _drop_columns(connection, plan, beside.nulls)
    return Restored(*restored, dropped, stay)


def count_others(connection: Connection, plan: RewritePlan, done: Done) -> int:
    """How many rows a rollback would overwrite or insert that others have changed or deleted since
    the run. Changes nothing.

    Raises:
        Refused: rows cannot be told apart, or the table has changed.
    """
    return _beside(connection, plan, done).count_others(connection, done)


def _beside(connection: Connection, plan: RewritePlan, done: Done) -> _Beside:
    backup = find_backup(connection, plan)
    columns = read_columns(connection, plan.oid)
    found = {one.name: one.type for one in columns}
    kept = read_columns(connection, _oid(connection, backup))
    lost = [one.name for one in kept if one.name not in found]
    if lost:
        message = f"{', '.join(lost)}: {plan.table} has lost what the backup has"
        raise Refused([Problem(f"run {plan.run}", message, "restore it by hand")])
    names = {one.name for one in kept}
    stored = [one for one in columns if one.name in names and not one.generated]
    return _Beside(
        plan.table,
        backup,
        _key(connection, plan, backup, done.changed),
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
    key: tuple[str, ...]
    stored: list[str]  # columns of both
    may_change: list[str]
    nulls: list[str]  # columns that are null in rows of the backup

    @property
    def _same_key(self) -> sql.Composed:
        pairs = zip(_of("t", self.key), _of("b", self.key), strict=True)
        return sql.SQL(" and ").join(sql.SQL("{} = {}").format(*pair) for pair in pairs)

    @property
    def _differs(self) -> sql.Composed:
        added = [sql.SQL(" or t.{} is not null").format(sql.Identifier(n)) for n in self.nulls]
        same = same_image(_of("t", self.stored), _of("b", self.stored))
        return sql.SQL("(not {}{})").format(same, sql.Composed(added))

    @property
    def _gone(self) -> sql.Composed:
        form = sql.SQL("{} b where not exists (select from {} t where {})")
        return form.format(identifier(self.backup), identifier(self.table), self._same_key)

    def count_others(self, connection: Connection, done: Done) -> int:
        changed = sql.SQL(
            "select count(*) from {} t join {} b on {} where {} and t.xmin not in ({})"
        ).format(identifier(self.table), identifier(self.backup), self._same_key, self._differs,
                 done.transactions)  # fmt: skip
        gone = _count(connection, sql.SQL("select count(*) from {}").format(self._gone))
        return _count(connection, changed) + max(gone - done.deleted, 0)

    def put_back(self, connection: Connection) -> tuple[int, int]:
        """How many rows differed, and how many were gone."""
        values = zip(self.may_change, _of("b", self.may_change), strict=True)
        sets = [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values]
        sets += [sql.SQL("{} = null").format(sql.Identifier(name)) for name in self.nulls]
        comma, table = sql.SQL(", "), identifier(self.table)
        put = connection.execute(
            sql.SQL("update {} t set {} from {} b where {} and {}").format(
                table, comma.join(sets), identifier(self.backup), self._same_key, self._differs
            )
        ).rowcount
        into = comma.join(map(sql.Identifier, self.stored))
        inserted = connection.execute(
            sql.SQL("insert into {} ({}) overriding system value select {} from {}").format(
                table, into, comma.join(_of("b", self.stored)), self._gone
            )
        ).rowcount
        return put, inserted


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
    table, else `id` if it does. A stamp in the key, as in a table partitioned by time, has changed.

    Raises:
        Refused: nothing does.
    """
    rows: list[Any] = connection.execute(
        "select array(select a.attname::text from unnest(i.indkey) with ordinality"
        "  k (number, place) join pg_attribute a"
        "  on a.attrelid = i.indrelid and a.attnum = k.number order by place)"
        " from pg_index i where i.indrelid = %s and i.indisunique and i.indisvalid"
        " and i.indpred is null and i.indexprs is null"
        " and i.indnkeyatts = i.indnatts and not exists (select from pg_attribute a"
        "  where a.attrelid = i.indrelid and a.attnum = any(i.indkey) and not a.attnotnull)"
        " order by i.indisprimary desc, i.indexrelid",
        (plan.oid,),
    ).fetchall()
    keys = [tuple(map(str, row[0])) for row in rows]
    moved = {*changed, plan.stamp}
    for key in keys:
        if not moved.intersection(key):
            return key
    if plan.id not in moved and _tells_apart(connection, plan, backup):
        return (plan.id,)
    lacking = f"{plan.table} has no key"
    if keys:
        lacking = f"it has changed {', '.join(sorted(moved.intersection(keys[0])))} of the key"
    message = f"{lacking}, and {plan.id} does not tell its rows apart" if plan.id else lacking
    raise Refused([Problem(f"run {plan.run}", message, f"restore by hand from {backup}")])


def _tells_apart(connection: Connection, plan: RewritePlan, backup: Name) -> bool:
    """Whether `id` identifies the rows of the backup, and those of the table with its ids."""
    if plan.id not in {one.name for one in plan.columns if one.is_grouped}:
        return False
    id_ = sql.Identifier(plan.id)
    doubled = sql.SQL(
        "select exists (select from {backup} group by {id} having count(*) > 1 or {id} is null)"
        " or exists (select from {table} where {id} in (select {id} from {backup})"
        " group by {id} having count(*) > 1)"
    ).format(backup=identifier(backup), table=identifier(plan.table), id=id_)
    row = connection.execute(doubled).fetchone()
    return not (row and row[0])


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
