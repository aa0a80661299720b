"""Whether a relation of the source has changed since a snapshot that is gone, and to which tables
of the target a run is writing.

Rows move between blocks when they are updated. So a relation of which some block ranges were
copied under one snapshot can only be resumed under another if nothing was written to it in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name

Activity = Mapping[str, Mapping[str, Any]]


def read_activity(connection: Connection, names: Collection[Name]) -> Activity:
    """What `has_changed` compares, by ``schema.relation``. JSON-able."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("activity")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the source's activity", side="source") from error
    found = {Name(row.pop("schema"), row.pop("name")): row for row in rows}
    return {str(name): found[name] for name in names if name in found}


def has_changed(connection: Connection, name: Name, then: Activity, now: Activity) -> bool:
    """Whether a row may have been inserted or moved since `then`; if in doubt, yes.

    No row may belong to a transaction that the earlier snapshot did not see, and the file must be
    the same (TRUNCATE, CLUSTER and VACUUM FULL make a new one). Scans the relation once. Rows
    deleted since then do no harm: they are copied once or not at all.
    """
    before, after = then.get(str(name)), now.get(str(name))
    if before is None or after is None:
        return True
    if before["filenode"] != after["filenode"]:
        return True
    query = sql.SQL("select exists (select from only {} where age(xmin) <= age({}::xid))").format(
        sql.Identifier(name.schema, name.name), sql.Literal(str(before["xmin"]))
    )
    try:
        row = connection.execute(query).fetchone()
    except psycopg.Error as error:
        raise explain(error, f"looking for changes in {name}", side="source") from error
    return row is None or bool(row[0])


def read_written(connection: Connection, run: str) -> frozenset[Name]:
    """The tables that sessions of a run are writing to now."""
    rows = connection.execute(
        "select n.nspname, c.relname from pg_locks l join pg_stat_activity a using (pid)"
        " join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace"
        " where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted"
        " and l.database = (select oid from pg_database where datname = current_database())"
        " and c.relkind = 'r' and a.application_name = %s",
        (f"windlass {run}"[:63],),
    ).fetchall()
    return frozenset(Name(str(schema), str(name)) for schema, name in rows)
