"""The SQLite file that a migration writes: its sessions, and what is wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from windlass.engines.embedded.converting.file import TargetFile
from windlass.engines.sqlite.landing.file import DIALECT
from windlass.engines.sqlite.landing.session import Opener
from windlass.errors import WindlassError
from windlass.model.report import Problem

_CACHE_KB = 32 << 10
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SqliteFile(TargetFile):
    tails = ("-journal", "-wal", "-shm")

    def __init__(self, path: str) -> None:
        super().__init__(path, "SQLite", DIALECT)
        self._openers = {one: Opener(str(one)) for one in (self.path, self.building)}

    @contextmanager
    def session(self, path: Path, doing: str) -> Iterator[sqlite3.Connection]:
        with self._openers[path].session(doing) as session:
            yield session

    @contextmanager
    def transaction(self, path: Path, doing: str) -> Iterator[sqlite3.Connection]:
        """Foreign keys are not enforced in it: they are checked as a whole."""
        with self._openers[path].session(doing, writes=True) as session:
            session.execute(f"pragma cache_size = -{_CACHE_KB}")
            if path == self.building:
                # nobody else reads it, and it is flushed before it is put in place. A kill loses
                # nothing, as the system keeps what was written; a crash of the system is noticed
                session.execute("pragma journal_mode = truncate")
                session.execute("pragma synchronous = off")
            session.execute("begin immediate")
            try:
                yield session
                session.execute("commit")
            except BaseException:
                if session.in_transaction:
                    session.rollback()
                raise

    def found(self, session: sqlite3.Connection) -> tuple[frozenset[str], list[Problem]]:
        (encoding,) = session.execute("pragma encoding").fetchone()
        names = [one for (one,) in session.execute("select name from sqlite_schema")]
        problems = []
        if encoding != "UTF-8":
            problems.append(
                Problem("target", f"{self.path} keeps texts in {encoding}, not in UTF-8")
            )
        return frozenset(one.lower() for one in names), problems

    def make(self) -> None:
        """Create it. Its header has a number that identifies the machine's boot, in the field for
        applications."""
        self.building.touch(0o644, exist_ok=True)
        with self.writing("making the file") as session:
            session.execute(f"pragma user_version = {_boot()}")

    @property
    def is_doubtful(self) -> bool:
        """Whether the machine has rebooted since: data that was not flushed may be lost."""
        if not self.is_building:
            return False
        try:
            with self.reading("looking at the unfinished file") as session:
                (noted,) = session.execute("pragma user_version").fetchone()
        except WindlassError:
            return True
        return bool(noted != _boot())

    def complete(self) -> None:
        with self._openers[self.building].session("ending the file", writes=True) as session:
            session.execute("pragma user_version = 0")
            session.execute("pragma journal_mode = delete")

    def close(self) -> None:
        """Nothing is open between two calls."""

    def cancel(self) -> None:
        for one in self._openers.values():
            one.stops.cancel()


def _boot() -> int:
    """A number that identifies the machine's boot; 0 if that is not known."""
    with suppress(OSError):
        return int(_BOOT.read_text().replace("-", "")[:7], 16)
    return 0
