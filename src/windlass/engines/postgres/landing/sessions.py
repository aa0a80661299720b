"""Sessions of a landing, which its threads share: each piece of work takes one, and returns it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import pq

from windlass.engines.postgres.connecting import explain_connecting
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Address, Connection, Role, cancel_active
from windlass.engines.postgres.users_sql import read_path, read_settings, setting
from windlass.engines.stopping import Stops
from windlass.errors import Refused
from windlass.trust.planted import read_shadowing

PURPOSE = "windlass load"


class Sessions:
    """Connects when the first is asked for."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.stops = Stops()
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self.checked: set[tuple[str, str]] = set()  # loads of runs, in which nothing was found
        self._settings: dict[tuple[str, str], str] = {}

    @contextmanager
    def one(self, doing: str, purpose: str = PURPOSE) -> Iterator[Connection]:
        """A session in autocommit, for one piece of work. Errors of the driver become ours.

        Raises:
            Interrupted: the run has to stop.
            WindlassError: the database cannot be reached.
        """
        connection = self._take(purpose)
        try:
            with (
                self.stops.during(lambda: cancel_active(connection)),
                explaining(doing, side="target"),
            ):
                yield connection
        finally:
            self._give_back(connection)

    def _take(self, purpose: str) -> Connection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed:
                    return connection
        return self.connect(purpose)

    def connect(self, purpose: str) -> Connection:
        """A session that the caller closes."""
        connection = self.address.connect(Role.TARGET, purpose)
        try:
            # a step is reported as done before the next begins: it must not be lost
            connection.execute("set synchronous_commit to on")
        except psycopg.Error as error:
            connection.close()
            raise explain_connecting(error, self.address.place, side="target") from error
        return connection

    def _give_back(self, connection: Connection) -> None:
        is_clean = connection.info.transaction_status is pq.TransactionStatus.IDLE
        with self._lock:
            if is_clean and not self.stops.cancelled:
                self._idle.append(connection)
                return
        connection.close()

    def settings(self, connection: Connection, schema: str, table: str) -> str:
        """The statement that gives the rest of a transaction what names, times and dates mean in
        psql, for the SQL of users and for triggers of the table.

        Raises:
            Refused: another role has put something there that would be taken for something else.
        """
        key = (schema, table)
        if key not in self._settings:
            path = read_path(connection, schema)
            if found := read_shadowing(connection, path, schema, table):
                raise Refused(found)
            named = ", ".join(psycopg.sql.Identifier(one).as_string(connection) for one in path)
            found_settings = {**read_settings(connection, schema), "search_path": named}
            self._settings[key] = setting(found_settings).as_string(connection)
        return self._settings[key]

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
