"""The keys of rows that a rewrite has deleted, as long as its backup is kept: others may have
deleted rows since, and a rollback must not bring those back.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier, read_columns, read_table
from windlass.inplace.staging import Staging, comma_list
from windlass.model.relation import Name


def place_of(run: str) -> Name:
    return Name("windlass", f"deleted_{run}")


def read_keys(connection: Connection, oid: int) -> list[tuple[str, ...]]:
    """The columns of each unique index of a table without NULLs, the primary key's first."""
    rows: list[Any] = connection.execute(
        "select array(select a.attname::text from unnest(i.indkey) with ordinality"
        "  k (number, place) join pg_attribute a"
        "  on a.attrelid = i.indrelid and a.attnum = k.number order by place)"
        " from pg_index i where i.indrelid = %s and i.indisunique and i.indisvalid"
        " and i.indpred is null and i.indexprs is null"
        " and i.indnkeyatts = i.indnatts and not exists (select from pg_attribute a"
        "  where a.attrelid = i.indrelid and a.attnum = any(i.indkey) and not a.attnotnull)"
        " order by i.indisprimary desc, i.indexrelid",
        (oid,),
    ).fetchall()
    return [tuple(map(str, row[0])) for row in rows]


def keep(connection: Connection, staging: Staging) -> None:
    """Keep the keys of the rows that are deleted now, and that the table had at the beginning."""
    plan = staging.plan
    wanted = {plan.id, *(name for key in read_keys(connection, plan.number) for name in key)}
    names = [one.name for one in plan.columns if one.name in wanted]
    if not names:
        return
    columns = comma_list(map(sql.Identifier, names))
    drop(connection, plan.run)
    connection.execute(
        sql.SQL("create table {} as select {} from ({}) gone").format(
            identifier(place_of(plan.run)),
            columns,
            staging.old_rows(staging.all_gone(), named=True),
        )
    )


def drop(connection: Connection, run: str) -> None:
    connection.execute(sql.SQL("drop table if exists {}").format(identifier(place_of(run))))


def find(connection: Connection, run: str, key: tuple[str, ...]) -> Name | None:
    """The table with these columns of the deleted rows, if it is there."""
    found = read_table(connection, place_of(run))
    if found is None:
        return None
    names = {one.name for one in read_columns(connection, found.oid)}
    return place_of(run) if names.issuperset(key) else None
