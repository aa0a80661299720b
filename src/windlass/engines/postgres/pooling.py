"""Poolers between us and a server: harmless in session mode, unusable in other modes.

Settings, locks, snapshots and prepared statements belong to a session of the server. A pooler in
transaction or statement mode shares the server's sessions, so all of these would be lost, or reach
another client.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg
from psycopg import pq

Session = psycopg.Connection[tuple[object, ...]]

_LONGEST_SECONDS = 2.0  # for a second session; a full pool would make us wait
_OPTION = re.compile(r"(?:-c\s*|--)([\w.-]+)\s*=")


def is_direct(connection: Session, server_pid: object) -> bool:
    """Whether there is no pooler. A pooler has to make up the number by which a session is
    cancelled, as it belongs to no session."""
    return connection.info.backend_pid == server_pid


def is_shared(connection: Session, beside: Callable[[], Session]) -> bool:
    """Whether the pooler gives our server session to other clients between two statements.

    It shows in two ways: the session that we just used serves the next transaction of another
    client, or our next statement runs in a different session.
    """
    places = {_place(connection), _place(connection)}
    if len(places) > 1:
        return True
    with _limited(beside) as other:
        if other is None:
            return False
        try:
            other.execute("begin")
            if _place(other) in places:
                return True
        except psycopg.Error as error:
            # statement mode has no transactions; otherwise the second session came too late
            return error.sqlstate is not None
        return _place(connection) not in places


def lost_options(connection: Session, options: str) -> list[str]:
    """Settings of the connection's `options` that never reached the server."""
    names = [name.lower().replace("-", "_") for name in _OPTION.findall(options)]
    if not names:
        return []
    rows = connection.execute(
        "select name from pg_settings where name = any(%s) and source not in ('client', 'session')",
        (names,),
    ).fetchall()
    return [str(name) for (name,) in rows]


def _place(connection: Session) -> object:
    row = connection.execute("select pg_backend_pid()").fetchone()
    assert row is not None
    return row[0]


@contextlib.contextmanager
def _limited(connect: Callable[[], Session]) -> Iterator[Session | None]:
    """A session that ends itself if it has to wait; None if it is refused."""
    try:
        other = connect()
    except psycopg.Error:
        yield None
        return
    hanging_up = threading.Timer(_LONGEST_SECONDS, _hang_up, (other.pgconn,))
    hanging_up.start()
    try:
        yield other
    finally:
        hanging_up.cancel()
        other.close()


def _hang_up(session: pq.abc.PGconn) -> None:
    with (
        contextlib.suppress(psycopg.Error, OSError),
        socket.fromfd(session.socket, socket.AF_INET, socket.SOCK_STREAM) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)
