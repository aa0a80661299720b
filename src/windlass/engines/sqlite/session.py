"""A session with an SQLite file: how it is opened, only to be read, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from windlass.engines.paths import path_of
from windlass.errors import BadSpec, ConnectionLost, Interrupted, WindlassError

BUSY_SECONDS = 10.0  # how long to wait for a writer's lock
LEAST_VERSION = (3, 37)  # has pragma_table_list

_HINTS = {
    sqlite3.SQLITE_NOTADB: "it is another kind of file, or it is encrypted",
    sqlite3.SQLITE_CORRUPT: "see what `pragma integrity_check` says, and restore a copy",
    sqlite3.SQLITE_CANTOPEN: "check the owner and mode of the file and its folder; a file in WAL"
    " mode needs a folder that can be written, or ?immutable=1 if nobody writes to it",
    sqlite3.SQLITE_READONLY: "its last writer has left a journal: open it with a program that may"
    " write to it, once",
    sqlite3.SQLITE_PERM: "check the owner and mode of the file",
}


def check_version() -> None:
    """Raises:
    WindlassError: this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < LEAST_VERSION:
        needed = ".".join(map(str, LEAST_VERSION))
        raise WindlassError(
            f"this Python has SQLite {sqlite3.sqlite_version}, and {needed} is needed",
            hint="use a newer Python",
        )


@cache
def _takes_json_for_unsafe() -> bool:
    """Whether this SQLite refuses its own functions of JSON in a table's definition. 3.40 does,
    because its flag for harmless functions has the opposite meaning for built-in ones."""
    with closing(sqlite3.connect(":memory:")) as probe:
        probe.execute("pragma trusted_schema = off")
        try:
            probe.execute("create table probe (value check (json_valid(value)))")
        except sqlite3.OperationalError:
            return True
    return False


def distrust(connection: sqlite3.Connection) -> None:
    """Let the file's definitions call nothing but SQLite's own functions. Where that would refuse
    those of JSON, nothing is lost without it: functions that we add only compute."""
    if not _takes_json_for_unsafe():
        connection.execute("pragma trusted_schema = off")


class File:
    """An SQLite file by its URL. Opened only to be read; never created."""

    def __init__(self, url: str) -> None:
        """Raises:
        BadSpec: the URL names no file.
        """
        options = dict(parse_qsl(urlsplit(url).query))
        wrong = sorted(set(options) - {"immutable"})
        self.path = path_of(url)
        if not self.path or wrong:
            hint = f"; unknown: {', '.join(wrong)}" if wrong else ""
            hint += "; `#` in a path is written %23" if "#" in url else ""
            raise BadSpec(
                [f"source: sqlite needs the path of a file: sqlite:///folder/file.db{hint}"]
            )
        self.place = f"SQLite {self.path}"
        self.immutable = options.get("immutable", "0") not in ("0", "")  # nobody writes to it
        self._uri = f"file:{quote(self.path)}?mode=ro{'&immutable=1' if self.immutable else ''}"

    def connect(self, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
        """A session that returns text as bytes, because it may not be UTF-8."""
        check_version()
        connection = sqlite3.connect(
            self._uri,
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time
        )
        connection.text_factory = bytes
        for setting in ("query_only = on", "cell_size_check = on"):
            connection.execute(f"pragma {setting}")
        distrust(connection)
        connection.create_function("windlass_real", 1, repr, deterministic=True)
        return connection

    def check_immutable(self) -> None:
        """Check that a file declared immutable has no rows in its WAL or journal.

        Raises:
            WindlassError: the URL declares the file immutable, but some rows are in its WAL or
                journal.
        """
        if not self.immutable:
            return
        for tail in ("-wal", "-journal"):
            beside = Path(f"{self.path}{tail}")
            if beside.is_file() and beside.stat().st_size:
                raise WindlassError(
                    f"{self.place}: {beside.name} holds what is not in the file yet",
                    hint="leave ?immutable=1 out; or close the programs that write to the file,"
                    " then open and close it once with a program that may write to it",
                    side="source",
                )

    @contextmanager
    def explaining(self, doing: str) -> Iterator[None]:
        """Map SQLite's errors to ours.

        Raises:
            ConnectionLost: another program has it locked; retryable.
            Interrupted: the call was stopped.
        """
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error, doing) from error

    def _explained(self, error: sqlite3.Error, doing: str) -> WindlassError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its extension
        if code == sqlite3.SQLITE_INTERRUPT:
            return Interrupted("stopped on request")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ConnectionLost(
                f"{self.place} is locked by a program that writes to it",
                hint="wait until it has finished",
                side="source",
            )
        message = f"{self.place}: {doing}: {error}"
        if "no such collation sequence" in str(error):
            hint = (
                "only its application has it: leave this table out, or make a copy of the file in"
                " which no column and no index uses it"
            )
            return WindlassError(message, hint=hint, side="source")
        return WindlassError(message, hint=_HINTS.get(code, "see the file"), side="source")
