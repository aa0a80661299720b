"""Who writes to a database, and who may: its read-only default and its sessions.

Decides nothing about whose sessions are to end, or when.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row

from windlass.engines.postgres import queries
from windlass.model.relation import Name

Session = Connection[Any]
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session of another client in this database."""

    pid: int
    user_name: str
    application: str
    has_written: bool  # its transaction has an id
    transaction_seconds: float  # 0: none, or not shown to this user
    query: str
    is_of_this_user: bool
    can_be_ended: bool  # by this user

    def __str__(self) -> str:
        name = f" ({self.application})" if self.application else ""
        return f"pid {self.pid} of {self.user_name or 'nobody'}{name}"

    @property
    def statement(self) -> str:
        """The beginning of its statement, without the values in it."""
        text = re.sub(r"'(?:[^']|'')*('|$)", "'…'", " ".join(self.query.split()))
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared transaction."""

    gid: str
    owner: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class WriteAccess:
    """What our user may do about who writes to this database."""

    owns_database: bool
    is_superuser: bool
    owner: str
    always_writing: tuple[str, ...]  # roles for which a read-only default does not count
    subscriptions: tuple[str, ...]  # enabled ones, which write whatever the default is

    @property
    def may_close(self) -> bool:
        """Whether the database's defaults may be set."""
        return self.owns_database or self.is_superuser


def read_open_sessions(connection: Session) -> list[OpenSession]:
    """Sessions of other clients in this database that could write."""
    with connection.cursor(row_factory=class_row(OpenSession)) as cursor:
        return cursor.execute(queries.load("open_sessions")).fetchall()


def read_starting(connection: Session) -> set[int]:
    """The processes of sessions that may not have read the database's settings yet."""
    return {pid for (pid,) in connection.execute(queries.load("starting_sessions"))}


def read_waiting(connection: Session, pid: int) -> set[int]:
    """The processes that wait for a lock of this one."""
    query = "select pid from pg_stat_activity where %s = any (pg_catalog.pg_blocking_pids(pid))"
    return {one for (one,) in connection.execute(query, (pid,))}


def read_prepared(connection: Session) -> list[Prepared]:
    with connection.cursor(row_factory=class_row(Prepared)) as cursor:
        return cursor.execute(queries.load("prepared_transactions")).fetchall()


def read_write_access(connection: Session) -> WriteAccess:
    row: Any = connection.execute(queries.load("write_access")).fetchone()
    return WriteAccess(row[0], row[1], row[2], tuple(row[3]), tuple(row[4]))


def end_processes(connection: Session, pids: Collection[int]) -> None:
    """Ask server processes to end; they do so soon, and roll back."""
    connection.execute(
        "select pg_catalog.pg_terminate_backend(pid) from unnest(%s::int[]) as given (pid)",
        (list(pids),),
    )


def write_regardless(connection: Session) -> None:
    """Let this session write where the database's default is read-only."""
    connection.execute("set default_transaction_read_only to off")


def read_default(connection: Session) -> str | None:
    """The database's own setting of its read-only default; None if it has none."""
    row = connection.execute(
        "select substr(one, strpos(one, '=') + 1) from pg_db_role_setting s"
        " join pg_database d on d.oid = s.setdatabase cross join unnest(s.setconfig) as one"
        " where d.datname = current_database() and s.setrole = 0"
        " and starts_with(one, 'default_transaction_read_only=')"
    ).fetchone()
    return str(row[0]) if row else None


def set_default(connection: Session, value: str | None) -> None:
    """Set it, for sessions that begin from now on; None removes it."""
    row: Any = connection.execute("select current_database()").fetchone()
    name = sql.Identifier(row[0])
    words = sql.SQL("alter database {} reset default_transaction_read_only").format(name)
    if value is not None:
        words = sql.SQL("alter database {} set default_transaction_read_only to {}").format(
            name, sql.Literal(value)
        )
    connection.execute(words)


def lock_against_writers(connection: Session, relations: Iterable[Name]) -> None:
    """Lock relations, in the caller's transaction: their readers continue, their writers wait."""
    names = sql.SQL(", ").join(sql.Identifier(one.schema, one.name) for one in relations)
    connection.execute(sql.SQL("lock table only {} in share row exclusive mode").format(names))
