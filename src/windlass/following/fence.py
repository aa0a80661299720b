"""The fence around a database: nobody but us can write to it, until it is opened again.

New sessions get a read-only default, and existing ones are ended. But a session can set itself to
write, or belong to somebody whose sessions we cannot end. So the fence counts as closed only once
no open transaction of a foreign session has written; whatever commits later shows in the stream of
changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import Connection

from windlass.engines.postgres import fencing
from windlass.engines.postgres.fencing import OpenSession
from windlass.errors import TakenBack
from windlass.following.limit import Limit
from windlass.model.relation import Name
from windlass.model.units import plural, seconds_text

Session = Connection[Any]
CLOSED = "on"
POLL_SECONDS = 0.01
MOST_NAMED = 3
COMMANDS = ("windlass cutover", "windlass end")


@dataclass(frozen=True, slots=True)
class Before:
    """How a database was before its fence: what the next process needs to undo it."""

    default: str | None = None  # its own default_transaction_read_only
    pool: str = ""  # PgBouncer's pool, which may be paused; for people

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Before:
        return cls(json.get("default"), json.get("pool", ""))


class Fence:
    """The fence of one database, by a session of ours in it that may write."""

    def __init__(self, session: Session, run: str, spare: Collection[str] = ()) -> None:
        """`spare` are roles whose sessions are never ended."""
        self._session, self._run, self._spare = session, run, set(spare)

    def read_before(self, pool: str = "") -> Before:
        return Before(fencing.read_default(self._session), pool)

    def close(self, limit: Limit) -> int:
        """Stop all writers; returns how many sessions were ended.

        Raises:
            TakenBack: it takes too long, as somebody cannot be stopped.
        """
        fencing.set_default(self._session, CLOSED)
        ended = self._end_present(limit)
        self.check_quiet(limit)
        return ended

    def check_quiet(self, limit: Limit) -> None:
        """Wait until no foreign transaction can commit a change.

        Raises:
            TakenBack: there is one that does not end.
        """
        while writing := [one for one in self.foreign(spared=True) if one.has_written]:
            self._end(one for one in writing if one.user_name not in self._spare)
            limit.wait(POLL_SECONDS, "stopping those who write", described(writing))
        if prepared := fencing.read_prepared(self._session):
            names = ", ".join(one.gid for one in prepared[:MOST_NAMED])
            raise TakenBack(
                f"{plural(len(prepared), 'prepared transaction')} can still commit: {names}",
                hint="COMMIT PREPARED or ROLLBACK PREPARED it",
                stopped_by="late_write",
            )

    def foreign(self, *, spared: bool = False) -> list[OpenSession]:
        """Sessions that are not ours; those of spared roles only with `spared`."""
        return [
            one
            for one in fencing.read_open_sessions(self._session)
            if not self._is_ours(one) and (spared or one.user_name not in self._spare)
        ]

    def end_waiting(self, pid: int) -> None:
        """End sessions that wait for a lock of our session `pid`: they would write once it is
        released."""
        waiting = fencing.read_waiting(self._session, pid)
        self._end(one for one in self.foreign() if one.pid in waiting)

    def restore(self, before: Before, limit: Limit) -> None:
        """Restore the default for sessions that begin from now on. Sessions that began while the
        database was closed would stay read-only, so they are ended. Does nothing if the default is
        unchanged.

        Raises:
            TakenBack: it takes too long.
        """
        self._set(before.default, limit)

    def open(self, before: Before, limit: Limit) -> None:
        """Open the database for writers, even if it was closed before the fence."""
        self._set(None if before.default == CLOSED else before.default, limit)

    def _set(self, value: str | None, limit: Limit) -> None:
        if fencing.read_default(self._session) == value:
            return
        fencing.set_default(self._session, value)
        self._end_present(limit)

    def _is_ours(self, one: OpenSession) -> bool:
        """Whether it is a session of this run, or of a command that ends a cutover or a run. Such a
        command does not know at first which run it is for, and writes only to the journal."""
        named = one.application.startswith("windlass ") and self._run in one.application
        return (named or one.application in COMMANDS) and one.is_of_this_user

    def _end_present(self, limit: Limit) -> int:
        """End all sessions that may have begun before the default was changed. Later ones have the
        new default, and stay."""
        starting = fencing.read_starting(self._session)
        while starting := starting & fencing.read_starting(self._session):
            limit.wait(POLL_SECONDS, "waiting for sessions that begin")
        present = self.foreign()
        self._end(present)
        pids = {one.pid for one in present}
        while left := [one for one in self.foreign() if one.pid in pids]:
            limit.wait(POLL_SECONDS, "ending sessions", described(left))
        return len(pids)

    def _end(self, sessions: Iterable[OpenSession]) -> None:
        pids = [one.pid for one in sessions if one.can_be_ended]
        if pids:
            fencing.end_processes(self._session, pids)


def described(sessions: Collection[OpenSession]) -> str:
    """The sessions for people, with transaction and statement if we may see them."""
    found = []
    for one in list(sessions)[:MOST_NAMED]:
        since = one.transaction_seconds
        age = f", in a transaction for {seconds_text(since)}" if since else ""
        statement = f": {one.statement}" if one.statement else ""
        found.append(f"{one}{age}{statement}")
    more = len(sessions) - MOST_NAMED
    return "; ".join(found) + (f"; and {more} more" if more > 0 else "")


class WriterLock:
    """Makes writers wait instead of failing: a session of ours locks all relations against them. If
    we die, the server releases the locks."""

    def __init__(self, session: Session) -> None:
        """`session` is used for nothing else; closing it releases the locks."""
        self._session = session

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._session.info.backend_pid

    def take(self, relations: Collection[Name], limit: Limit) -> None:
        """Take the locks. Readers do not block us, and never wait.

        Raises:
            TakenBack: transactions that write do not end in time.
        """
        names = sorted(relations)
        while names:
            milliseconds = max(int(limit.left_seconds * 500), 1)
            try:
                self._session.execute("begin")
                self._session.execute(
                    "select set_config('lock_timeout', %s, true)", (f"{milliseconds}ms",)
                )
                fencing.lock_against_writers(self._session, names)
                return
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                self._session.execute("rollback")
                limit.wait(POLL_SECONDS, "waiting for transactions that write to end")

    def release(self) -> None:
        self._session.close()
