"""A PgBouncer pool, through its administration console: pauses and resumes it.

The console only knows the simple query protocol. A RESUME next to a waiting PAUSE would leave the
PAUSE waiting forever (pgbouncer issue 715). So a PAUSE that takes too long is ended by closing its
connection, and another connection sends the RESUME.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import psycopg
from psycopg import conninfo, pq

from windlass.errors import BadSpec, WindlassError

CONSOLE = "pgbouncer"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 5.0  # of a command that waits for nothing
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, repr=False)
class Pool:
    """Where a pool is. ``str`` shows no password."""

    _conninfo: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Pool:
        """The address by which applications reach it, with a user that may use the console.

        Raises:
            BadSpec: it names no pool; the text is not repeated, as it may hold a password.
        """
        try:
            words = conninfo.conninfo_to_dict(text)
        except psycopg.ProgrammingError:
            raise BadSpec(["pgbouncer: not a postgresql:// URL or a conninfo string"]) from None
        name = str(words.get("dbname") or "")
        if name in ("", CONSOLE):
            raise BadSpec(
                ["pgbouncer: names no pool"],
                hint="for example postgresql://admin@host:6432/shop, where shop is the pool that"
                " applications use",
            )
        return cls(text, name)

    @property
    def place(self) -> str:
        words = conninfo.conninfo_to_dict(self._conninfo)
        return f"{words.get('host', 'local')}:{words.get('port', 6432)}"

    def __str__(self) -> str:
        return f"pool {self.name} at {self.place}"

    __repr__ = __str__

    def pause(self, seconds: float, check: Callable[[], None]) -> bool:
        """Let clients wait as soon as their transactions have ended. Returns False if one of them
        takes longer. `check` is called while it waits."""
        with _Console(self) as console:
            return console.ask(f"PAUSE {self._quoted}", seconds, check)

    def resume(self) -> None:
        """Let clients continue; does nothing if they may already."""
        with _Console(self) as console:
            try:
                console.ask(f"RESUME {self._quoted}", ANSWER_SECONDS)
            except WindlassError as error:
                if "not paused" not in str(error):
                    raise

    def reload(self) -> None:
        """Read the configuration again: it may name another server."""
        with _Console(self) as console:
            console.ask("RELOAD", ANSWER_SECONDS)

    def check(self) -> None:
        """Check that the console can be used.

        Raises:
            WindlassError: the console cannot be used, or has no such pool.
        """
        with _Console(self) as console:
            names = console.column("SHOW DATABASES", "name")
        if self.name not in names:
            raise WindlassError(
                f"{self.place} has no pool {self.name}",
                hint=f"it has {', '.join(one for one in names if one != CONSOLE) or 'none'}",
            )

    @property
    def _quoted(self) -> str:
        return '"{}"'.format(self.name.replace('"', '""'))


class _Console:
    """One connection to the console."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        text = conninfo.make_conninfo(
            pool._conninfo, dbname=CONSOLE, connect_timeout=CONNECT_SECONDS
        )
        self._connection = pq.PGconn.connect(text.encode())
        if self._connection.status != pq.ConnStatus.OK:
            self._fail(self._connection.error_message)

    def __enter__(self) -> _Console:
        return self

    def __exit__(self, *fault: object) -> None:
        self._connection.finish()

    def ask(self, command: str, seconds: float, check: Callable[[], None] = lambda: None) -> bool:
        """Execute a command. Returns whether it was answered in time."""
        return self._ask(command, seconds, check) is not None

    def column(self, command: str, name: str) -> list[str]:
        found = self._ask(command, ANSWER_SECONDS, lambda: None)
        if found is None:
            self._fail(b"no answer")
        at = [found.fname(column) for column in range(found.nfields)].index(name.encode())
        values = (found.get_value(row, at) for row in range(found.ntuples))
        return [value.decode() for value in values if value is not None]

    def _ask(
        self, command: str, seconds: float, check: Callable[[], None]
    ) -> pq.abc.PGresult | None:
        connection, deadline = self._connection, time.monotonic() + seconds
        connection.send_query(command.encode())
        connection.flush()
        while connection.is_busy() == 1:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            check()
            if select.select([connection.socket], [], [], min(left, _POLL_SECONDS))[0]:
                connection.consume_input()
        first = connection.get_result()
        if first is None or first.status not in (
            pq.ExecStatus.COMMAND_OK,
            pq.ExecStatus.TUPLES_OK,
        ):
            self._fail(first.error_message if first else connection.error_message)
        return first

    def _fail(self, said: bytes) -> NoReturn:
        text = " ".join(said.decode(errors="replace").split())
        raise WindlassError(
            f"PgBouncer at {self._pool.place}: {text.removeprefix('ERROR: ')}",
            hint="the user has to be one of PgBouncer's admin_users",
            side="pgbouncer",
        )
