"""The backup of a rewrite: a plain table with the rewritten table's name, in a separate schema.

It is made under another name and counted; only then does it replace the previous one.
"""

from __future__ import annotations

from contextlib import suppress

from psycopg import sql
from psycopg.errors import DependentObjectsStillExist, LockNotAvailable

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import (
    identifier,
    may_create_in,
    read_table,
)
from windlass.errors import Refused, WindlassError
from windlass.inplace import access, deleted
from windlass.inplace.keeping import beside, read_owner, sign, surplus
from windlass.inplace.staging import Staging
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan

HINT = "drop or rename it, or name another backup-schema"


def place_of(plan: RewritePlan) -> Name:
    return Name(plan.kept.schema, plan.table.name)


def _new_place(plan: RewritePlan) -> Name:
    return beside(plan.kept.schema, plan.run)


def owner_of(connection: Connection, backup: Name) -> tuple[str, str]:
    """The table that a backup is of, and the run that made it; empty if the table is not one of our
    backups."""
    row = connection.execute(
        "select obj_description(c.oid, 'pg_class') from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s",
        (backup.schema, backup.name),
    ).fetchone()
    return read_owner(row[0] if row else "")


def find_place(connection: Connection, plan: RewritePlan) -> Name | None:
    """Where a run's backup is: in its place, or beside it, before the run has written or after
    later ones have."""
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
    deleted.drop(connection, run)


def whose(owner: tuple[str, str], table: Name) -> str:
    """Why the backup's place cannot be taken; empty if it holds an earlier run's backup."""
    if not owner[1]:
        return "has the name of the backup, but was not made by Windlass"
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
    check_access(connection, plan)
    if plan.kept.level == "full":
        source = sql.SQL("select * from {}").format(staging.target)
    else:
        source = staging.old_rows(_touched(staging), named=True)
    making = sql.SQL("create table {} as {}").format(identifier(new), source)
    wanted = connection.execute(making).rowcount
    rows = _count(connection, sql.SQL("select count(*) from {}").format(identifier(new)))
    if rows != wanted:
        raise WindlassError(
            f"the backup {new} has {rows} rows, not {wanted}",
            hint="run the same command again: the backup is made again",
        )
    return rows


def _touched(staging: Staging) -> sql.Composed:
    """Ordinals of the rows that may be written or deleted."""
    form = sql.SQL("select ordinal from {}")
    rows = form.format(staging.table())
    if staging.same:
        rows += sql.SQL(" except ") + form.format(staging.table("_same"))
    if staging.plan.deletes_by_key:
        rows += sql.SQL(" union all ") + form.format(staging.table("_others"))
    return rows


def check_access(connection: Connection, plan: RewritePlan, *names: str) -> None:
    """Raises:
    Refused: another role could take the backup away, or make us run its code.
    """
    if problems := access.read_problems(connection, plan.table, plan.kept.schema, *names):
        raise Refused(problems)


def _count(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))


def check_place(connection: Connection, plan: RewritePlan) -> None:
    """Check the backup's place before the first row is changed.

    Raises:
        Refused: something else has the backup's name, or the new backup is gone.
    """
    old, new = place_of(plan), _new_place(plan)
    if said := _taken(connection, plan):
        raise Refused([Problem(str(old), said, HINT)])
    if read_table(connection, new) is None:
        raise Refused([Problem(str(new), "the backup of this run is gone", "begin a new run")])


def _taken(connection: Connection, plan: RewritePlan) -> str:
    old = place_of(plan)
    found = read_table(connection, old)
    return whose(owner_of(connection, old), plan.table) if found else ""


def swap(connection: Connection, plan: RewritePlan) -> Name:
    """Move the new backup into its place, and the previous one out of it, in the caller's
    transaction; backups that are not to be kept are dropped. Where something else has taken the
    place, or depends on the previous backup, the new one stays beside it. Returns where it is.

    Raises:
        psycopg.errors.LockNotAvailable: somebody is reading the previous backup.
    """
    old, new = place_of(plan), _new_place(plan)
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (str(old),))
    if _taken(connection, plan):
        return keep_beside(connection, plan)
    try:
        with connection.transaction():
            _clear_place(connection, plan)
    except DependentObjectsStillExist:
        return keep_beside(connection, plan)
    name = sql.Identifier(old.name)
    connection.execute(sql.SQL("alter table {} rename to {}").format(identifier(new), name))
    sign(connection, plan.table, plan.run, old)
    _drop_surplus(connection, plan)
    return old


def keep_beside(connection: Connection, plan: RewritePlan) -> Name:
    """Leave the new backup under its own name, until a later run's takes its place."""
    new = _new_place(plan)
    sign(connection, plan.table, plan.run, new)
    _drop_surplus(connection, plan)
    return new


def _clear_place(connection: Connection, plan: RewritePlan) -> None:
    """Rename the previous backup, if more than one is kept, or drop it."""
    old = place_of(plan)
    run = owner_of(connection, old)[1]
    if run and plan.kept.count > 1:
        name = sql.Identifier(beside(old.schema, run).name)
        connection.execute(sql.SQL("alter table {} rename to {}").format(identifier(old), name))
    else:
        connection.execute(sql.SQL("drop table if exists {}").format(identifier(old)))
        if run:
            deleted.drop(connection, run)


def _drop_surplus(connection: Connection, plan: RewritePlan) -> None:
    """Drop the earlier backups of the table that are not kept, except those that are in use."""
    for one in surplus(connection, plan):
        with suppress(LockNotAvailable, DependentObjectsStillExist), connection.transaction():
            locking = sql.SQL("lock table {} in access exclusive mode nowait")
            connection.execute(locking.format(identifier(one.place)))
            connection.execute(sql.SQL("drop table {}").format(identifier(one.place)))
            deleted.drop(connection, one.run)


def drop_unfinished(connection: Connection, plan: RewritePlan) -> None:
    """Drop what `copy` made and `swap` has not used: the previous backup stays."""
    new = _new_place(plan)
    if plan.keeps_backup and owner_of(connection, new)[1] != plan.run:
        connection.execute(sql.SQL("drop table if exists {}").format(identifier(new)))


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
