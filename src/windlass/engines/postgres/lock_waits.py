"""Which of our sessions wait for a lock, and who blocks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name

# of a run on the target, in addition to two for each job: control, pg_dump, lock watch, status
OTHER_SESSIONS = 4
_SHOWN = 100  # characters of a statement


@dataclass(frozen=True, slots=True)
class Blocker:
    """Another session; fields that this user may not see are empty."""

    pid: int  # 0: a prepared transaction
    application: str
    user: str
    since: str  # when its transaction began

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction (see pg_prepared_xacts)"
        words = ", ".join(self._known())
        return f"pid {self.pid} ({words})" if words else f"pid {self.pid}"

    def _known(self) -> Iterator[str]:
        if self.application:
            yield self.application
        if self.user:
            yield f"user {self.user}"
        if self.since:
            yield f"in a transaction since {self.since}"


@dataclass(frozen=True, slots=True)
class LockWait:
    """One of our sessions that waits."""

    pid: int
    relation: Name | None  # None: it waits for a row, or for a transaction
    blocker: Blocker

    def __str__(self) -> str:
        lock = f"a lock on {self.relation}" if self.relation else "a lock"
        return f"waiting for {lock}, blocked by {self.blocker}"


@dataclass(frozen=True, slots=True)
class Demand:
    """A statement of somebody else, such as ALTER TABLE, that waits for a lock which a run holds
    until it ends. Other users of the table wait behind it."""

    pid: int
    application: str
    user: str
    since: str
    relation: Name | None
    query: str  # empty: this user may not see it

    def __str__(self) -> str:
        known = [self.application, f"user {self.user}" if self.user else ""]
        known.append(f"since {self.since}" if self.since else "")
        who = f"pid {self.pid} ({', '.join(filter(None, known))})"
        lock = f"a lock on {self.relation}" if self.relation else "a lock"
        what = f", for: {self.query}" if self.query else ""
        return f"{who} waits for {lock} that this run has{what}"


def read_demands(
    connection: Connection, *, holder: int, names: Sequence[str], side: str
) -> list[Demand]:
    """Statements of others that wait for locks of the session `holder` of a run, or of sessions
    with these names."""
    try:
        with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
            values = (holder, [*names, "windlass pg_dump"])
            rows = cursor.execute(load("lock_demands"), values).fetchall()
    except psycopg.Error as error:
        raise explain(error, "looking for sessions that we block", side=side) from error
    return [
        Demand(
            row["pid"],
            row["application"],
            row["user_name"],
            row["since"],
            Name(row["schema"], row["name"]) if row["name"] else None,
            _shown(row["query"]),
        )
        for row in rows
    ]


def end_sessions_named(connection: Connection, names: Sequence[str]) -> None:
    """End all sessions of a run, of this user in this database, in any process: none may continue
    to read without the run's locks."""
    connection.execute(
        "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity"
        " where usename = session_user and datname = current_database()"
        " and application_name = any(%s)",
        (list(names),),
    )


def _shown(query: str) -> str:
    """The beginning of a statement, in one line."""
    text = " ".join(query.split())
    if text == "<insufficient privilege>":
        return ""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def read_room(connection: Connection) -> int:
    """How many sessions we could have, including the present ones."""
    row: Any = connection.execute(load("session_room")).fetchone()
    room: int = row[0]
    return room


def read_lock_waits(connection: Connection, *, side: str) -> list[LockWait]:
    """Lock waits of sessions in this database and of this user."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("lock_waits")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "looking for blocked sessions", side=side) from error
    return [
        LockWait(
            row["waiting_pid"],
            Name(row["schema"], row["name"]) if row["name"] else None,
            Blocker(row["pid"], row["application"], row["user_name"], row["since"]),
        )
        for row in rows
    ]
