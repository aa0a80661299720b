"""Only one windlass at a time on a target or a relation; sessions of an earlier one are ended."""

from __future__ import annotations

import time
from typing import LiteralString

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused, WindlassError
from windlass.model.report import Problem

# windlass's advisory lock key: "windlass" in ASCII
_KEY = int.from_bytes(b"windlass", "big", signed=True)
_RELATION = int.from_bytes(b"wndl", "big") << 32  # with a relation's oid
# the server notices a killed client only when it next reads from it
PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.05
_LONGEST_END_SECONDS = 60.0


def relation_key(oid: int) -> int:
    """The advisory lock key for one relation, where other relations may be worked on in
    parallel."""
    return _RELATION | oid


def try_lock(
    connection: Connection, key: int = _KEY, patience_seconds: float = PATIENCE_SECONDS
) -> bool:
    """Take this database for our run until the session ends. False: another run has it."""
    deadline = time.monotonic() + patience_seconds
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone()
        if row and row[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def take_lock(connection: Connection) -> None:
    """Take this database until the session ends.

    Raises:
        Refused: another run has it.
    """
    if not try_lock(connection):
        message = f"another run is in progress: {read_holder(connection)}"
        raise Refused([Problem("target", message, "wait for it")])


def read_holder(connection: Connection, key: int = _KEY) -> str:
    """Who has the lock, for a message: "windlass 20261121-0653-7f3a (pid 4711)"; "" for nobody."""
    row = connection.execute(
        "select a.application_name, a.pid from pg_locks l join pg_stat_activity a using (pid)"
        " where l.locktype = 'advisory' and l.granted and l.objsubid = 1"
        " and l.database = (select oid from pg_database where datname = current_database())"
        " and (l.classid::bigint << 32 | l.objid::bigint) = %s",
        (key,),
    ).fetchone()
    return f"{row[0]} (pid {row[1]})" if row else ""


def control_name(run: str) -> str:
    """The name of the session that holds the target's lock for a run."""
    return f"windlass control {run}"


def name_session(connection: Connection, name: str) -> None:
    """Set the name that pg_stat_activity and `read_holder` show."""
    connection.execute("select set_config('application_name', %s, false)", (name[:63],))


def end_sessions(connection: Connection, name: str) -> None:
    """End the sessions on this server whose names begin so, and wait until they are gone.

    Otherwise an unanswered COMMIT or a running index build could interfere with this run.
    """
    pattern = f"{name}%"
    ending: LiteralString = "select pg_terminate_backend(pid) from pg_stat_activity where "
    counting: LiteralString = "select count(*) from pg_stat_activity where "
    mine: LiteralString = (
        "application_name like %s and pid <> pg_backend_pid() and datname = current_database()"
    )
    deadline = time.monotonic() + _LONGEST_END_SECONDS
    try:
        connection.execute(ending + mine, (pattern,))
        while connection.execute(counting + mine, (pattern,)).fetchone() != (0,):
            if time.monotonic() > deadline:
                raise WindlassError(
                    f"the sessions {name} do not end",
                    hint="end them with pg_terminate_backend(pid)",
                )
            time.sleep(_POLL_SECONDS)
    except psycopg.Error as error:
        raise explain(error, f"ending the sessions {name}", side="target") from error
