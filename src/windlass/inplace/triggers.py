"""What a table's triggers and keys mean for rows that are changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from psycopg.rows import class_row

from windlass.engines.postgres.session import Connection

RESETS = "changing its key would set values of other tables' rows to NULL or a default"
RESETS_HINT = (
    "the backup would not have those rows; drop the ON UPDATE action, or do not change the key"
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that fires on UPDATE."""

    name: str
    may_skip_rows: bool  # it fires before the change of each row, so it may return NULL


def read_triggers(connection: Connection, oid: int) -> list[Trigger]:
    """Of a table and its partitions, without those that PostgreSQL itself has made."""
    with connection.cursor(row_factory=class_row(Trigger)) as cursor:
        return cursor.execute(_text("triggers.sql"), {"oid": oid}).fetchall()


def takes_key(connection: Connection, oid: int, columns: Sequence[str]) -> bool:
    """Whether some of the columns are part of a unique index, to which foreign keys may point."""
    values = {"oid": oid, "columns": list(columns)}
    row = connection.execute(_text("takes_key.sql"), values).fetchone()
    return bool(row and row[0])


def has_key(connection: Connection, oid: int, columns: Sequence[str]) -> bool:
    """Whether some of the columns are a key, without NULLs, so that no two rows are equal in
    them."""
    values = {"oid": oid, "columns": list(columns)}
    row = connection.execute(_text("has_key.sql"), values).fetchone()
    return bool(row and row[0])


def read_resetting(connection: Connection, oid: int, columns: Sequence[str]) -> list[str]:
    """Foreign keys through which a change of some of the columns resets values in other rows,
    directly or by a change that cascades."""
    values = {"oid": oid, "columns": list(columns)}
    return [str(name) for (name,) in connection.execute(_text("resets_key.sql"), values).fetchall()]


def is_maintained(connection: Connection, oid: int) -> bool:
    """Whether somebody holds the lock that autovacuum takes."""
    row = connection.execute(
        "select exists (select from pg_locks where relation = %s and granted"
        " and mode = 'ShareUpdateExclusiveLock')",
        (oid,),
    ).fetchone()
    return bool(row and row[0])


def _text(name: str) -> bytes:
    return (resources.files("windlass.inplace") / name).read_bytes()
