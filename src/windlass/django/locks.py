"""Lets only one process work at a time, by an advisory lock in PostgreSQL, or a locked file beside
SQLite's.

Both end with the process that holds them.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connections

from windlass.django.databases import place_of, url_of
from windlass.errors import Refused, Unreachable
from windlass.model.report import Problem

REFRESH, MIGRATE = "refresh", "migrate"
_KEYS = {REFRESH: 0x77696E64_00000001, MIGRATE: 0x77696E64_00000002}  # "wind"
_POLL_SECONDS = 0.1


@contextmanager
def alone(alias: str, what: str, wait_seconds: float = 0) -> Iterator[None]:
    """While the context lasts, no other process does the same in this database.

    Raises:
        Refused: another one still does after `wait_seconds`.
    """
    is_file = connections[alias].vendor == "sqlite"
    with _in_file(alias, what, wait_seconds) if is_file else _in_server(alias, what, wait_seconds):
        yield


@contextmanager
def _in_server(alias: str, what: str, wait_seconds: float) -> Iterator[None]:
    """Lock in a separate session: Django's may be closed, or shared by a pool."""
    with _session(alias) as session:
        session.execute("select set_config('application_name', %s, false)", (f"windlass {what}",))
        until = time.monotonic() + wait_seconds
        while True:
            row = session.execute("select pg_try_advisory_lock(%s)", (_KEYS[what],)).fetchone()
            if row and row[0]:
                break
            _wait(alias, what, until)
        yield


def _session(alias: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect a session for the lock.

    Raises:
        Unreachable: the server cannot be reached now.
    """
    try:
        return psycopg.connect(url_of(alias), autocommit=True)
    except psycopg.OperationalError as error:
        message = str(error).partition("\n")[0]
        raise Unreachable([Problem(f"database {place_of(alias)}", message)]) from error


@contextmanager
def _in_file(alias: str, what: str, wait_seconds: float) -> Iterator[None]:
    path = Path(f"{connections[alias].settings_dict['NAME']}.windlass-{what}")
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_seconds
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait(alias, what, until)
        yield


def _wait(alias: str, what: str, until: float) -> None:
    if time.monotonic() >= until:
        message = f"another process is at work there ({what})"
        raise Refused([Problem(f"database {alias!r}", message, "wait until it is done")])
    time.sleep(_POLL_SECONDS)
