"""Sessions with an SQLite file that is written: opened for each call, as others use the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from windlass.engines.embedded.names import STAGE
from windlass.engines.paths import path_alone
from windlass.engines.sqlite.session import check_version, distrust
from windlass.engines.statements import names, statement
from windlass.engines.stopping import Stops
from windlass.errors import BadSpec, ConnectionLost, Interrupted, TargetFull, WindlassError

BUSY_SECONDS = 10.0  # how long to wait for a writer's lock
_HINTS = {
    sqlite3.SQLITE_NOTADB: "it is another kind of file, or it is encrypted",
    sqlite3.SQLITE_CORRUPT: "see what `pragma integrity_check` says, and restore a copy",
    sqlite3.SQLITE_CANTOPEN: "check the owner and mode of the file and its folder",
    sqlite3.SQLITE_READONLY: "check the owner and mode of the file and its folder",
    sqlite3.SQLITE_PERM: "check the owner and mode of the file",
    sqlite3.SQLITE_CONSTRAINT: "nothing was changed; the rows break a constraint of the table",
}


def path_of_url(url: str) -> str:
    """Raises:
    BadSpec: the URL names no file.
    """
    path = path_alone(url)
    if not path:
        raise BadSpec(["target: sqlite needs the path of a file: sqlite:///folder/file.db"])
    return path


def now_in(zone: str) -> str:
    """The time in a zone, for expressions: SQLite only knows UTC and the local zone."""
    return datetime.now(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S.%f")


class Opener:
    """Opens sessions, and stops them."""

    def __init__(self, path: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path, self.place = path, f"SQLite {path}"
        self._busy_seconds, self.stops = busy_seconds, Stops()

    @contextmanager
    def session(
        self, doing: str, staged: Path | None = None, *, writes: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """Raises:
        ConnectionLost: another program has it locked; retryable.
        Interrupted: the call was stopped.
        """
        with self._explaining(doing):
            connection = self._connect("rwc" if writes else "rw")
            try:
                if staged is not None:
                    attach = statement("attach ? as {name}", name=names(STAGE))
                    connection.execute(attach, (f"file:{quote(str(staged))}",))
                with self.stops.during(connection.interrupt):
                    yield connection
            finally:
                connection.close()

    @contextmanager
    def transaction(self, doing: str, staged: Path | None = None) -> Iterator[sqlite3.Connection]:
        """A transaction. While it is open, no other process writes to the file."""
        with self.session(doing, staged, writes=True) as connection:
            connection.execute("pragma foreign_keys = on")
            connection.execute("begin immediate")
            try:
                connection.execute("pragma defer_foreign_keys = on")
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.rollback()
                raise

    def _connect(self, mode: str) -> sqlite3.Connection:
        check_version()
        connection = sqlite3.connect(
            f"file:{quote(self.path)}?mode={mode}",
            uri=True,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time
        )
        distrust(connection)
        connection.execute("pragma cell_size_check = on")
        connection.create_function("windlass_now", 1, now_in)
        return connection

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error, doing) from error

    def _explained(self, error: sqlite3.Error, doing: str) -> WindlassError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
        if code == sqlite3.SQLITE_INTERRUPT:
            return Interrupted("stopped on request")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ConnectionLost(
                f"{self.place}: {doing}: another program has the file locked to write to it, for"
                f" longer than {self._busy_seconds:g} seconds",
                hint="wait until its transaction has ended; then run the same command again",
            )
        if code == sqlite3.SQLITE_FULL:
            return TargetFull(f"{self.place}: {doing}: no space left")
        return WindlassError(f"{self.place}: {doing}: {error}", hint=_HINTS.get(code, ""))
