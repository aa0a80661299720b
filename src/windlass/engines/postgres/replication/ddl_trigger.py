"""Event triggers that note in `windlass.ddl` which statements change what a run follows.

Only a superuser, or a managed service's role of that kind, can make them. The function belongs to
whoever makes them, and runs with the rights of that role: so its search_path is fixed, and what it
does is exactly the text that `windlass.trust.noting` knows.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection
from windlass.trust.noting import function_body, function_name

_EVENTS = {"ddl": "ddl_command_end", "drop": "sql_drop"}


def make_triggers(connection: Connection, run: str, slot: str, *, side: str) -> bool:
    """Create the event triggers of a run, or replace them. They fire even where triggers are
    switched off. Returns False, and creates nothing, if this role may not create them."""
    with explaining("making event triggers", side=side):
        try:
            with connection.transaction():
                _drop(connection, run, slot)
                _make(connection, run, slot)
        except psycopg.errors.InsufficientPrivilege:
            return False
    return True


def _make(connection: Connection, run: str, slot: str) -> None:
    name = sql.Identifier("windlass", function_name(run))
    body = sql.Literal(function_body().replace("{run}", run))
    connection.execute(
        sql.SQL(
            "create function {}() returns event_trigger language plpgsql security definer"
            " set search_path = pg_catalog, pg_temp as {}"
        ).format(name, body)
    )
    for suffix, event in _EVENTS.items():
        trigger = sql.Identifier(f"{slot}_{suffix}")
        connection.execute(
            sql.SQL("create event trigger {} on {} execute function {}()").format(
                trigger, sql.Identifier(event), name
            )
        )
        connection.execute(sql.SQL("alter event trigger {} enable always").format(trigger))


def drop_triggers(connection: Connection, run: str, slot: str, *, side: str) -> None:
    """Drop them all."""
    with explaining("dropping event triggers", side=side), connection.transaction():
        _drop(connection, run, slot)


def _drop(connection: Connection, run: str, slot: str) -> None:
    for suffix in _EVENTS:
        trigger = sql.Identifier(f"{slot}_{suffix}")
        connection.execute(sql.SQL("drop event trigger if exists {}").format(trigger))
    name = sql.Identifier("windlass", function_name(run))
    connection.execute(sql.SQL("drop function if exists {}()").format(name))
