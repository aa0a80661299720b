"""The one session of a rewrite, which holds the table's lock, and the run it belongs to.

A process holds the table's lock as long as its session lives. If each step has a separate process,
nobody holds it between two steps: then the journal shows whose run it is.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg

from windlass.engines.postgres.lock import end_sessions, read_holder, relation_key, try_lock
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.starting import when_up
from windlass.errors import Interrupted, Refused
from windlass.flows.rewrite.runs import FLOW, said_lately, session_name
from windlass.inplace.access import enter
from windlass.inplace.check import find_table
from windlass.journal import door, records
from windlass.journal.records import Run
from windlass.model.outcome import UNFINISHED, StartedBy
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.spec.rewrite import RewriteSpec

PATIENCE_SECONDS = 3.0  # for the lock of a client that was killed just now


class TableHold:
    """Connects when entered; used by one thread, cancelled by any."""

    def __init__(self, spec: RewriteSpec, started_by: StartedBy) -> None:
        """Raises:
        BadSpec: the connection cannot be read.
        """
        assert spec.connection is not None
        self.address = Address.parse("database", spec.connection.get_secret_value())
        self.started_by = started_by
        self.table = str(Name(spec.schema_, spec.table))
        self._spec = spec
        self._connection: Connection | None = None
        self._stop = threading.Event()

    @property
    def is_entered(self) -> bool:
        return self._connection is not None

    @property
    def connection(self) -> Connection:
        """The session that holds the table's lock.

        Raises:
            Interrupted: the run has to stop.
        """
        self.check()
        return self.session

    @property
    def session(self) -> Connection:
        """As `connection`, even if the run has to stop."""
        assert self._connection is not None, "the table is not held"
        return self._connection

    def check(self) -> None:
        """Raises:
        Interrupted: the run has to stop.
        """
        if self._stop.is_set():
            raise Interrupted("stopped on request")

    def wait(self, seconds: float) -> None:
        """Raises:
        Interrupted: the run has to stop.
        """
        self._stop.wait(seconds)
        self.check()

    def enter(self, known: str = "") -> list[Run]:
        """Connect and take the table's lock; returns the table's runs, newest first. `known` is the
        run that this process already works on.

        Raises:
            Refused: another rewrite has the lock.
        """
        self._connection = when_up(lambda: self.address.connect(Role.TARGET, "windlass rewrite"))
        try:
            return self._lock(self._connection, known)
        except BaseException:
            self.leave()
            raise

    def _lock(self, connection: Connection, known: str) -> list[Run]:
        # A step is reported as done before the next begins in another process: it must not be lost.
        connection.execute("set synchronous_commit to on")
        if connection.info.server_version >= 140000:
            # a killed client's statement then ends soon, and releases its lock
            connection.execute("set client_connection_check_interval to '1s'")
        enter(connection, Name(self._spec.schema_, self._spec.table))
        table = find_table(connection, self._spec)
        key = relation_key(table.oid)
        mine = self.mine(self._runs(connection), known)
        locked = try_lock(connection, key, PATIENCE_SECONDS)
        if not locked and mine and self.started_by.external_run:
            # the run's previous process, which the scheduler believes to be dead
            end_sessions(connection, session_name(mine.run))
            locked = try_lock(connection, key, PATIENCE_SECONDS)
        if not locked:
            raise Refused([self._in_progress(read_holder(connection, key))])
        return self._runs(connection)  # the previous holder may have ended its run since

    def _runs(self, connection: Connection) -> list[Run]:
        there = door.exists(connection)
        runs = records.read_runs(connection, flow=FLOW) if there else []
        return [run for run in runs if run.source == self.table]

    def mine(self, runs: list[Run], known: str = "") -> Run | None:
        """The run of this external run; without one, the unfinished run with the same options."""
        if by := self.started_by.external_run:
            return next((run for run in runs if run.started_by.external_run == by), None)
        if known:  # before the session was lost
            return next((run for run in runs if run.run == known), None)
        same = self._spec.config()
        return next(
            (
                run
                for run in runs
                if run.state in UNFINISHED and run.config == same and not _is_of_scheduler(run)
            ),
            None,
        )

    def refuse_at_work(self, run: Run) -> None:
        """Refuse if another scheduler's run has just journalled something: it is at work, even
        though nobody holds the lock. Runs of the same DAG are never at work at the same time.

        Raises:
            Refused: it is between two of its steps.
        """
        by, mine = run.started_by.external_run, self.started_by.external_run
        is_others = by and _family(by) != _family(mine)
        if is_others and said_lately(self.connection, run):
            raise Refused([self._in_progress(f"run {run.run} of {by}")])

    def _in_progress(self, holder: str) -> Problem:
        return Problem(
            self.table,
            f"another rewrite of it is in progress: {holder or 'just ended'}",
            "wait for it; one that is silent for a minute counts as abandoned",
        )

    def leave(self) -> None:
        """The next `enter` connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cancel(self) -> None:
        """Cancel what is in flight; nothing more starts."""
        self._stop.set()
        if self._connection is not None and not self._connection.closed:
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=5)


def _is_of_scheduler(run: Run) -> bool:
    return bool(run.started_by.external_run)


def _family(external_run: str) -> str:
    """The DAG, for an external run that is a whole DAG run. A part of a DAG run (a task or a group)
    is a family by itself: other parts may be at work beside it."""
    words = external_run.split(" ")
    return " ".join(words[:2]) if len(words) == 3 else external_run
