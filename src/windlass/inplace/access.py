"""Which other roles a rewrite must trust: owners of functions that its SQL may find, and of its
backup."""

from __future__ import annotations

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.users_sql import keep_settings, read_path
from windlass.errors import Refused
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.trust.planted import Room, quoted_pattern, read_planted, read_shadowing


def enter(connection: Connection, table: Name) -> None:
    """Run the user's SQL as in psql: with the role's search_path, time zone and order of dates.

    Raises:
        Refused: another role has put something there that would be taken for something else.
    """
    path = read_path(connection, table.schema)
    if found := read_shadowing(connection, path, table.schema, table.name):
        raise Refused(found)
    keep_settings(connection, table.schema, path)


def read_problems(connection: Connection, table: Name, schema: str, *names: str) -> list[Problem]:
    """Why a schema may not hold the backup of a table under these names."""
    room = Room(
        schema,
        tables=quoted_pattern(*names),
        shared=True,
        owner_of=(table.schema, table.name),
        hint="drop it, or name another backup-schema",
    )
    return read_planted(connection, room)
