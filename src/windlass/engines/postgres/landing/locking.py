"""Locks a table that is to be changed. In a deadlock it is the load that gives way, never an
application.

SHARE ROW EXCLUSIVE lets others read, and lock rows for foreign keys. Writers wait for the load, but
the load waits only briefly for them: before a deadlock arises, it rolls back and tries again. A
session that has locked rows (SELECT FOR UPDATE) and then waits for the table could still cause one,
so from the third attempt the lock is EXCLUSIVE, which first waits for such sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import LiteralString

from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.session import Connection
from windlass.engines.stopping import Stops
from windlass.errors import ConnectionLost, Interrupted
from windlass.model.flow import Result
from windlass.model.load import Load
from windlass.model.load_words import Missing
from windlass.model.relation import Name

TRIES = 20
TABLE_TIMEOUT, ROW_TIMEOUT = "1s", "100ms"  # others queue behind a lock that is waited for
_LONGEST_PAUSE_SECONDS = 5.0
_POLL_SECONDS = 0.05
_CONFLICTS = ("55P03", "40P01", "40001")
_EXCLUSIVE_FROM = 2


def lock_patiently(
    tables: Sequence[Name], stops: Stops, work: Callable[[Callable[[Connection], None]], Result]
) -> Result:
    """Do `work`, a transaction. It is called with a function that locks its tables.

    Raises:
        ConnectionLost: others have kept the tables locked all the time.
        Interrupted: the run has to stop.
    """
    for attempt in range(TRIES):
        is_last = attempt == TRIES - 1
        mode: LiteralString = "exclusive" if attempt >= _EXCLUSIVE_FROM else "share row exclusive"
        try:
            return work(partial(_lock, tables, mode))
        except ConnectionLost as error:
            cause = error.__cause__
            if is_last or getattr(cause, "sqlstate", None) not in _CONFLICTS:
                raise
        _pause(min(0.1 * 2**attempt, _LONGEST_PAUSE_SECONDS), stops)
    raise AssertionError("unreachable")


def _lock(tables: Sequence[Name], mode: LiteralString, connection: Connection) -> None:
    """Lock tables in the open transaction, in the order of their names."""
    _set_timeout(connection, TABLE_TIMEOUT)
    for one in sorted(set(tables)):
        connection.execute(
            sql.SQL("lock table {} in {} mode").format(names.identifier(one), sql.SQL(mode))
        )
    _set_timeout(connection, ROW_TIMEOUT)


def _set_timeout(connection: Connection, value: str) -> None:
    connection.execute(
        "select pg_catalog.set_config('lock_timeout', %s, true)", (value,), prepare=False
    )


def needs_lock(load: Load) -> bool:
    """Whether the table must be locked: not if rows are only added."""
    words = load.words
    return bool(words.key) or words.missing is not Missing.KEEP or words.history


def _pause(seconds: float, stops: Stops) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if stops.cancelled:
            raise Interrupted("stopped on request")
        time.sleep(_POLL_SECONDS)
