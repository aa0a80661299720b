"""Versions of the journal's schema: which one a journal has, and how an older one is upgraded.

A file ``migrations/NNNN.sql`` makes version NNNN of the one before it. An older version can be read
as it is: migrations add, and rename only what nobody reads without writing.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from psycopg import Connection

from windlass.errors import Refused
from windlass.model.report import Problem

Session = Connection[Any]
VERSION = 2


def read_version(connection: Session) -> int:
    """Of a journal that is there. The first did not record it."""
    row = connection.execute(
        "select pg_catalog.to_regclass('windlass.schema_version'::text)"
    ).fetchone()
    if not (row and row[0]):
        return 1
    row = connection.execute("select max(version) from windlass.schema_version").fetchone()
    return int(row[0]) if row and row[0] else 1


def check(connection: Session) -> None:
    """Raises:
    Refused: a newer windlass has made the journal, and this one does not know what is in it.
    """
    found = read_version(connection)
    if found > VERSION:
        message = (
            f"the journal has schema version {found}, made by a newer windlass; this one knows"
            f" versions up to {VERSION}"
        )
        raise Refused([Problem("schema windlass", message, "upgrade windlass on this machine")])


def upgrade(connection: Session) -> bool:
    """Apply in order what an older journal lacks, inside the caller's transaction; whether there
    was anything to apply."""
    found = read_version(connection)
    for version in range(found + 1, VERSION + 1):
        connection.execute(_migration(version))
        connection.execute("insert into windlass.schema_version (version) values (%s)", (version,))
    return found < VERSION


def _migration(version: int) -> bytes:
    return (resources.files("windlass.journal") / f"migrations/{version:04}.sql").read_bytes()
