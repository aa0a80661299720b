"""Returns rows that a rewrite has deleted, from its staging tables."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier, read_columns, read_name
from windlass.errors import TargetFull
from windlass.inplace.staging import Staging
from windlass.model.relation import Name


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
    name = read_name(connection, plan.number)
    if not wanted or name is None:  # if the table was dropped, so were they
        return Returned()
    before = {one.number: one for one in plan.columns}
    pairs = [
        (sql.Identifier(one.name), sql.Identifier(before[one.number].old))
        for one in read_columns(connection, plan.number)
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


def _count(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))
