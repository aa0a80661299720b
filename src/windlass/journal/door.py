"""The one way to the journal: it is looked at before anything in it is read or written."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from windlass.errors import Refused
from windlass.model.report import Problem
from windlass.trust.planted import Room, read_planted

_TABLES = "run|snapshot|line|survivor"
ROOM = Room(
    "windlass",
    tables=f"^({_TABLES}|rewrite_.*|kept_.*|repair_.*)$",
    plain=f"^({_TABLES})$",
    defaults=("'migrate'::text", "''::text", "0", "1", "clock_timestamp()"),
    events=True,
    hint="look at who has changed it; DROP SCHEMA windlass CASCADE forgets all runs",
)


def read_problems(connection: Connection[Any]) -> list[Problem]:
    """Why the journal may not be used, by this session's user."""
    return read_planted(connection, ROOM)


def check(connection: Connection[Any]) -> None:
    """Raises:
    Refused: another role could make us run its code, or has changed what the journal says.
    """
    if problems := read_problems(connection):
        raise Refused(problems)
