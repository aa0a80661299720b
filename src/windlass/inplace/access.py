"""Which other roles a rewrite must trust: owners of functions that its SQL may find, and of its
backup."""

from __future__ import annotations

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import find_path
from windlass.errors import Refused
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.trust.planted import Room, quoted_pattern, read_planted, read_shadowing


def enter(connection: Connection, table: Name) -> None:
    """Resolve names like a user of the table's schema does.

    Raises:
        Refused: another role has put something there that would be taken for PostgreSQL's own.
    """
    if found := read_shadowing(connection, table.schema, table.name):
        raise Refused(found)
    find_path(connection, table.schema)


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
