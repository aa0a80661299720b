"""Versions of the journal's schema: detects and upgrades older ones.

A file ``migrations/NNNN.sql`` makes version NNNN of the one before it, and raises the epoch of
every run where a process of an older windlass would go wrong.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from psycopg import Connection

from windlass.errors import Refused
from windlass.journal.plans import convert_plans
from windlass.model.report import Problem

Session = Connection[Any]
VERSION = 6
READABLE = 4
"""The oldest version that can be read as it is: those after it have only added tables."""
PLANS_CHANGED = 2
"""In this version plans got another form, to which SQL cannot convert them."""


def read_version(connection: Session) -> int:
    """The version of an existing journal. Version 1 did not record it."""
    row = connection.execute(
        "select pg_catalog.to_regclass('windlass.schema_version'::text)"
    ).fetchone()
    if not (row and row[0]):
        return 1
    row = connection.execute("select max(version) from windlass.schema_version").fetchone()
    return int(row[0]) if row and row[0] else 1


def is_older(connection: Session) -> bool:
    """Whether the journal is older than this windlass's version.

    Raises:
        Refused: a newer windlass has made the journal, and this one does not know what is in it.
    """
    found = read_version(connection)
    if found > VERSION:
        message = (
            f"the journal has schema version {found}, made by a newer windlass; this one knows"
            f" versions up to {VERSION}"
        )
        raise Refused([Problem("schema windlass", message, "upgrade windlass on this machine")])
    return found < VERSION


def older_problem() -> Problem:
    """Why a journal of an older version cannot be used."""
    message = (
        f"the journal is of an older windlass, and has to be upgraded to version {VERSION} before"
        " it can be read; that was not possible here"
    )
    hint = "run windlass status once as the journal's owner: it upgrades the journal"
    return Problem("schema windlass", message, hint)


def upgrade(connection: Session) -> None:
    """Apply missing migrations in order, inside the caller's transaction; none if another session
    was faster."""
    for version in range(read_version(connection) + 1, VERSION + 1):
        connection.execute(_migration(version))
        if version == PLANS_CHANGED:
            convert_plans(connection)
        connection.execute("insert into windlass.schema_version (version) values (%s)", (version,))


def _migration(version: int) -> bytes:
    return (resources.files("windlass.journal") / f"migrations/{version:04}.sql").read_bytes()
