"""Who did what with a target's runs, from a page or a DAG: kept even after a run is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from psycopg import Connection

from windlass.journal import door
from windlass.model.acts import Act

Session = Connection[Any]


def begin(connection: Session, act: Act) -> str:
    """Record that somebody does something with a run, before it is done; returns the record's id.

    Raises:
        Refused: the journal may not be trusted.
    """
    number = uuid4().hex
    with connection.transaction():
        door.create(connection)
        connection.execute(
            "insert into windlass.act (id, run, what, command, who, address)"
            " values (%s, %s, %s, %s, %s, %s)",
            (number, act.run, act.what, act.command, act.who, act.address),
        )
    return number


def end(connection: Session, number: str, result: str) -> None:
    """Record how it ended."""
    with connection.transaction():
        door.check(connection)
        connection.execute(
            "update windlass.act set result = %s, ended_at = clock_timestamp() where id = %s",
            (result, number),
        )


def read(connection: Session, run: str) -> Sequence[Act]:
    """What was done with a run, the newest first. The journal has been checked.

    Nothing is known in a journal of an older windlass, nor by a user who may read the runs alone.
    """
    may_read = connection.execute(
        "select pg_catalog.has_table_privilege(to_regclass, 'select')"
        " from pg_catalog.to_regclass('windlass.act'::text)"
    ).fetchone()
    if not (may_read and may_read[0]):
        return []
    rows = connection.execute(
        "select run, what, command, who, address,"
        " pg_catalog.to_char(at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'),"
        " coalesce(pg_catalog.to_char(ended_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), ''),"
        " coalesce(result, '')"
        " from windlass.act where run = %s order by at desc limit 200",
        (run,),
    ).fetchall()
    return [Act(*row) for row in rows]
