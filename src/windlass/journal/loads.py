"""The journal of loads: their runs, and the interface for an engine, which does not import the
journal (`windlass.engines.postgres.landing.books`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

from windlass.journal import door, records
from windlass.journal.journal import Begin, Journal
from windlass.journal.records import Run
from windlass.model.load import LoadRun
from windlass.model.outcome import StartedBy, State

Session = Connection[Any]
FLOW = "load"


class LoadBooks:
    """The journal of one database. Keeps no session: each method takes one."""

    def __init__(self) -> None:
        self._is_there = False

    def exists(self, connection: Session) -> bool:
        """See `windlass.journal.door.exists`, which upgrades an older journal. Checked only once:
        that takes ten times as long as everything else that is read from it."""
        self._is_there = self._is_there or door.exists(connection)
        return self._is_there

    def create(self, connection: Session) -> None:
        """Raises:
        Refused: the schema is not ours.
        """
        if not self._is_there:
            with connection.transaction():
                door.create(connection)
            self._is_there = True

    def keep_private(self, connection: Session) -> None:
        """Revoke others' privileges on tables that the open transaction has created."""
        door.keep_private(connection)

    def runs(self, connection: Session) -> Sequence[LoadRun]:
        """Runs, the newest first, without their lines."""
        if not self.exists(connection):
            return ()
        return [_load_run(connection, one) for one in records.read_runs(connection, flow=FLOW)]

    def read(self, connection: Session, run: str) -> LoadRun | None:
        """One run, with its lines."""
        if not self.exists(connection):
            return None
        found = records.read_runs(connection, run, flow=FLOW)
        if not found:
            return None
        lines: dict[str, dict[str, Mapping[str, Any]]] = {}
        for line in records.read_lines(connection, run):
            lines.setdefault(line.step, {})[line.item] = line.note or {}
        return _load_run(connection, found[0], lines)

    def insert(self, connection: Session, run: LoadRun, identity: str) -> None:
        """A new run. `identity` is the target's."""
        with connection.transaction():
            records.insert_any_run(
                connection,
                FLOW,
                run.run,
                (identity, run.source),
                run.config,
                json.dumps(run.plan).encode(),
                _started_by(run),
            )

    def take_over(self, connection: Session, run: LoadRun) -> None:
        """From then on no other process can journal anything of it."""
        records.take_over(connection, run.run, _started_by(run))

    def open(self, connection: Session, run: str, begin: Begin) -> Journal:
        """A run's journal in this process, in the epoch that the run has now."""
        (found,) = records.read_runs(connection, run, flow=FLOW)
        journal = Journal(run, begin, found.epoch)
        journal.read(connection)
        return journal

    def history(
        self, connection: Session, steps: Sequence[str]
    ) -> Sequence[tuple[str, State, str, str, Mapping[str, Any]]]:
        """Lines of these steps of all runs of loads, the earliest first."""
        rows = connection.execute(
            "select run, state, step, item, note from windlass.line join windlass.run using (run)"
            " where flow = %s and step = any (%s) order by at",
            (FLOW, list(steps)),
        ).fetchall()
        return [
            (str(run), State(state), str(step), str(item), note or {})
            for run, state, step, item, note in rows
        ]

    def forget(self, connection: Session, run: str) -> None:
        """Forget a run permanently: it can be neither resumed nor undone."""
        connection.execute("delete from windlass.run where run = %s", (run,))

    def mark_undone(self, connection: Session, run: str) -> None:
        """Mark a run as undone, in the open transaction that undoes it."""
        records.set_state(connection, run, State.ROLLED_BACK)


def _started_by(run: LoadRun) -> StartedBy:
    return StartedBy(run.external_run, run.external_url)


def _load_run(
    connection: Session,
    run: Run,
    lines: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> LoadRun:
    return LoadRun(
        run=run.run,
        state=run.state,
        source=run.source_name,
        config=run.config,
        plan=json.loads(records.read_packed(connection, run.run)),
        external_run=run.started_by.external_run,
        external_url=run.started_by.external_url,
        started_at=run.started_at,
        finished_at=run.finished_at,
        outcome=run.outcome,
        lines=lines or {},
    )
