"""The only access to the journal: checks it before anything is read or written."""

from __future__ import annotations

from importlib import resources
from typing import Any

import psycopg
from psycopg import Connection

from windlass.errors import Refused
from windlass.journal import versions
from windlass.model.report import Problem
from windlass.trust.noting import FUNCTION, function_body
from windlass.trust.planted import Room, read_planted

Session = Connection[Any]
_TABLES = (
    "run|snapshot|line|crash_marker|survivor|watermark|schema_version"
    "|following|applied|marker|request|ddl|act|log"
)
ROOM = Room(
    "windlass",
    tables=f"^({_TABLES}|rewrite_.*|kept_.*|deleted_.*|repair_.*|stage_.*|undo_.*|refused_.*)$",
    plain=f"^({_TABLES})$",
    defaults=("'migrate'::text", "''::text", "0", "1", "clock_timestamp()"),
    events=True,
    function=FUNCTION,
    body=function_body(),
    hint="find out who has changed it; DROP SCHEMA windlass CASCADE forgets all runs",
)
_CREATING = int.from_bytes(b"windjrnl", "big")  # windlass's advisory lock key


def read_problems(connection: Session) -> list[Problem]:
    """Why this session's user may not use the journal."""
    return read_planted(connection, ROOM)


def check(connection: Session) -> None:
    """Raises:
    Refused: another role could make us run its code, or has changed the journal.
    """
    if problems := read_problems(connection):
        raise Refused(problems)


def exists(connection: Session) -> bool:
    """Whether there is a journal. To be called before opening it: upgrades an older version.

    Raises:
        Refused: the schema is not ours, another role may change it, this user cannot upgrade it, or
        a newer windlass made it.
    """
    check(connection)
    if not _is_there(connection):
        return False
    if versions.is_older(connection):
        _upgrade(connection)
    return True


def can_be_read(connection: Session) -> bool:
    """Whether there is a journal. Call this before only reading it: unlike `exists`, it does not
    upgrade a journal that this version can read as it is, because an older windlass may be at work.

    Raises:
        Refused: as `exists`.
    """
    check(connection)
    if not _is_there(connection):
        return False
    if versions.READABLE <= versions.read_version(connection) <= versions.VERSION:
        return True
    return exists(connection)


def _is_there(connection: Session) -> bool:
    row = connection.execute("select pg_catalog.to_regclass('windlass.line'::text)").fetchone()
    return bool(row and row[0])


def create(connection: Session) -> None:
    """Create the journal's schema if it is missing, inside the caller's transaction. Called
    before a run begins or resumes.

    Checked again once it exists, because anybody may have created a schema of that name in the
    meantime.

    Raises:
        Refused: the schema is not ours.
    """
    _one_at_a_time(connection)
    if not exists(connection):
        connection.execute(_text("schema.sql"))
        keep_private(connection)
    check(connection)


def _upgrade(connection: Session) -> None:
    try:
        with connection.transaction():
            _one_at_a_time(connection)
            versions.upgrade(connection)
            keep_private(connection)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise Refused([versions.older_problem()]) from error


def _one_at_a_time(connection: Session) -> None:
    """Serialise: two at once would conflict in the catalogs."""
    connection.execute("select pg_catalog.pg_advisory_xact_lock(%s::bigint)", (_CREATING,))


def keep_private(connection: Session) -> None:
    """Revoke what default privileges granted others on tables of the journal's schema that this
    transaction created."""
    connection.execute(_text("private.sql"))


def _text(name: str) -> bytes:
    return (resources.files("windlass.journal") / name).read_bytes()
