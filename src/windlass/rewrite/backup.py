"""The backup of a rewrite: a plain table under the rewritten one's name, in a schema of its own.

It is made under another name and counted; only then it takes the place of the one before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql
from psycopg.errors import DependentObjectsStillExist

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier, may_create_in, read_columns, read_table
from windlass.errors import Refused, WindlassError
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.rewrite.staging import Staging, same_image

_COMMENT = "Backup of {} by windlass run {}."


@dataclass(frozen=True, slots=True)
class Restored:
    put_back: int = 0  # rows that differed
    inserted: int = 0  # rows that were gone
    dropped_columns: tuple[str, ...] = ()
    kept_columns: tuple[str, ...] = ()


def place_of(plan: RewritePlan) -> Name:
    return Name(plan.backup_schema, plan.table.name)


def _new_place(plan: RewritePlan) -> Name:
    return Name(plan.backup_schema, f"windlass_{plan.run}")


def owner_of(connection: Connection, backup: Name) -> str:
    """The run that has made a backup; empty if it is none of ours."""
    row = connection.execute(
        "select obj_description(c.oid, 'pg_class') from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s",
        (backup.schema, backup.name),
    ).fetchone()
    found = (
        re.fullmatch(r"Backup of .* by windlass run (\S+)\.", str(row[0] or "")) if row else None
    )
    return found[1] if found else ""


def copy(connection: Connection, staging: Staging, *, has_others: bool) -> int:
    """Make the backup beside the one before; its rows. The caller's transaction has one snapshot.

    Raises:
        WindlassError: it is not complete.
    """
    plan = staging.plan
    if may_create_in(connection, plan.backup_schema) is None:
        schema = sql.Identifier(plan.backup_schema)
        connection.execute(sql.SQL("create schema if not exists {}").format(schema))
    new = _new_place(plan)
    if plan.backup == "full":
        source = sql.SQL("select * from {}").format(staging.target)
    else:
        columns = sql.SQL(", ").join(
            sql.SQL("{} as {}").format(sql.Identifier(one.old), sql.Identifier(one.name))
            for one in plan.columns
        )
        parts = [staging.table(), *([staging.table("_others")] if has_others else [])]
        source = sql.SQL(" union all ").join(
            sql.SQL("select {} from {}").format(columns, part) for part in parts
        )
    connection.execute(sql.SQL("create table {} as {}").format(identifier(new), source))
    rows = _count(connection, sql.SQL("select count(*) from {}").format(identifier(new)))
    wanted = _count(connection, sql.SQL("select count(*) from ({}) q").format(source))
    if rows != wanted:
        raise WindlassError(
            f"the backup {new} has {rows} rows, not {wanted}", hint="run again: it is made anew"
        )
    return rows


def _count(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))


def swap(connection: Connection, plan: RewritePlan) -> None:
    """Give the new backup its place, and drop the one before; in the caller's transaction.

    Raises:
        Refused: something else is there by now.
    """
    old, new = place_of(plan), _new_place(plan)
    if read_table(connection, old):
        if not owner_of(connection, old):
            hint = "drop or rename it, or name another backup-schema"
            raise Refused([Problem(str(old), "is in the way of the backup, and not ours", hint)])
        connection.execute(sql.SQL("drop table {}").format(identifier(old)))
    name = sql.Identifier(old.name)
    connection.execute(sql.SQL("alter table {} rename to {}").format(identifier(new), name))
    text = sql.Literal(_COMMENT.format(plan.table, plan.run))
    connection.execute(sql.SQL("comment on table {} is {}").format(identifier(old), text))


def drop_unfinished(connection: Connection, plan: RewritePlan) -> None:
    """What `copy` has made, if `swap` has not taken it."""
    connection.execute(sql.SQL("drop table if exists {}").format(identifier(_new_place(plan))))


def forget_untouched(connection: Connection, staging: Staging) -> None:
    """Take out of a backup of touched rows those that were left as somebody else has made them:
    a rollback is not to undo that."""
    plan = staging.plan
    gone = sql.SQL("select s.* from {} s where not exists (select from {} w"
                   " where w.ordinal = s.ordinal)").format(
        staging.table(), staging.table("_written")
    )  # fmt: skip
    if staging.extras:
        gone += sql.SQL(" and not exists (select from {} e where e.ordinal = s.ordinal)").format(
            staging.table("_extra")
        )
    connection.execute(
        sql.SQL("delete from {} b using ({}) s where {}").format(
            identifier(place_of(plan)),
            gone,
            same_image(
                [sql.SQL("b.{}").format(sql.Identifier(one.name)) for one in plan.columns],
                [sql.SQL("s.{}").format(sql.Identifier(one.old)) for one in plan.columns],
            ),
        )
    )


# the way back


def find_backup(connection: Connection, plan: RewritePlan) -> Name:
    """Raises:
    Refused: it is not there any more, or is another run's.
    """
    place = place_of(plan)
    what = f"run {plan.run}"
    if not plan.keeps_backup:
        raise Refused([Problem(what, "kept no backup", "its spec said backup: none")])
    if read_table(connection, place) is None:
        raise Refused([Problem(what, f"its backup {place} is not there any more")])
    owner = owner_of(connection, place)
    if owner != plan.run:
        whose = f"of run {owner}, which came later" if owner else "none of ours any more"
        raise Refused([Problem(what, f"its backup is gone: {place} is {whose}")])
    return place


def put_back(
    connection: Connection, plan: RewritePlan, made: Sequence[str], changed: Sequence[str]
) -> Restored:
    """Make rows what they are in the backup, in the caller's transaction. Rows that the backup does
    not have stay. `made` are columns that the run has added, `changed` those that it has written.

    Raises:
        Refused: rows cannot be told apart, or the table has changed.
    """
    backup = find_backup(connection, plan)
    table = identifier(plan.table)
    connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(table))
    columns = read_columns(connection, plan.oid)
    found = {one.name: one.type for one in columns}
    kept = read_columns(connection, _oid(connection, backup))
    lost = [one.name for one in kept if one.name not in found]
    if lost:
        message = f"{', '.join(lost)}: {plan.table} has lost what the backup has"
        raise Refused([Problem(f"run {plan.run}", message, "restore it by hand")])
    names = {one.name for one in kept}
    stored = [one for one in columns if one.name in names and not one.generated]
    key = _key(connection, plan, backup)
    moved = [name for name in key if name in changed]
    if moved:
        message = f"it has changed {', '.join(moved)}, by which rows are told apart"
        raise Refused([Problem(f"run {plan.run}", message, f"restore by hand from {backup}")])
    restored = _put_rows_back(
        connection, table, backup, key,
        all_=[one.name for one in stored],
        # PostgreSQL lets nobody change these; by them a row is told from others, or nobody has
        may_change=[one.name for one in stored if one.identity != "a"],
        nulls=[name for name in made if name in found],
    )  # fmt: skip
    dropped, stay = _drop_columns(connection, plan, [name for name in made if name in found])
    return Restored(*restored, dropped, stay)


def _put_rows_back(
    connection: Connection,
    table: sql.Identifier,
    backup: Name,
    key: tuple[str, ...],
    *,
    all_: list[str],
    may_change: list[str],
    nulls: list[str],
) -> tuple[int, int]:
    def of(alias: str, names: list[str] | tuple[str, ...]) -> list[sql.Composed]:
        return [sql.SQL("{}.{}").format(sql.SQL(alias), sql.Identifier(name)) for name in names]

    comma, also = sql.SQL(", "), sql.SQL(" and ")
    same_key = also.join(
        sql.SQL("{} = {}").format(left, right)
        for left, right in zip(of("t", key), of("b", key), strict=True)
    )
    sets = [
        sql.SQL("{} = {}").format(sql.Identifier(name), value)
        for name, value in zip(may_change, of("b", may_change), strict=True)
    ]
    sets += [sql.SQL("{} = null").format(sql.Identifier(name)) for name in nulls]
    differs = sql.SQL("(not {}{})").format(
        same_image(of("t", all_), of("b", all_)),
        sql.Composed(
            [sql.SQL(" or t.{} is not null").format(sql.Identifier(name)) for name in nulls]
        ),
    )
    put = connection.execute(
        sql.SQL("update {} t set {} from {} b where {} and {}").format(
            table, comma.join(sets), identifier(backup), same_key, differs
        )
    ).rowcount
    into = comma.join(map(sql.Identifier, all_))
    inserted = connection.execute(
        sql.SQL(
            "insert into {} ({}) overriding system value select {} from {} b"
            " where not exists (select from {} t where {})"
        ).format(table, into, comma.join(of("b", all_)), identifier(backup), table, same_key)
    ).rowcount
    return put, inserted


def _oid(connection: Connection, name: Name) -> int:
    found = read_table(connection, name)
    assert found is not None
    return found.oid


def _key(connection: Connection, plan: RewritePlan, backup: Name) -> tuple[str, ...]:
    """Columns that tell rows apart: a key of the table's, else `id` where it does.

    Raises:
        Refused: nothing does.
    """
    rows = connection.execute(
        "select array(select a.attname::text from unnest(i.indkey) with ordinality"
        "  k (number, place) join pg_attribute a"
        "  on a.attrelid = i.indrelid and a.attnum = k.number order by place)"
        " from pg_index i where i.indrelid = %s and i.indisunique and i.indisvalid"
        " and i.indpred is null and i.indexprs is null"
        " and i.indnkeyatts = i.indnatts and not exists (select from pg_attribute a"
        "  where a.attrelid = i.indrelid and a.attnum = any(i.indkey) and not a.attnotnull)"
        " order by i.indisprimary desc, i.indexrelid limit 1",
        (plan.oid,),
    ).fetchall()
    if rows:
        names: list[str] = list(rows[0][0])  # type: ignore[call-overload]
        return tuple(names)
    id_ = sql.Identifier(plan.id)
    doubled = sql.SQL(
        "select exists (select from {backup} group by {id} having count(*) > 1 or {id} is null)"
        " or exists (select from {table} where {id} in (select {id} from {backup})"
        " group by {id} having count(*) > 1)"
    ).format(backup=identifier(backup), table=identifier(plan.table), id=id_)
    row = connection.execute(doubled).fetchone()
    if row and row[0]:
        raise Refused(
            [
                Problem(
                    f"run {plan.run}",
                    f"{plan.table} has no key, and {plan.id} does not tell its rows apart",
                    f"restore by hand from {backup}",
                )
            ]
        )
    return (plan.id,)


def _drop_columns(
    connection: Connection, plan: RewritePlan, made: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that the run has added go, unless other rows have come to use them."""
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
