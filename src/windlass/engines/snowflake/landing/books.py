"""The journal of loads: runs, their lines, records that were set aside, and which process works on
a run. Snowflake enforces no unique keys, so whoever writes a line first takes a lock, and then
checks that the line does not exist."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from windlass.engines import processes
from windlass.engines.incoming.names import LINES, REFUSED, RUNS
from windlass.engines.incoming.refusing import BadRow
from windlass.engines.run_rows import json_text, outcome_text, run_of
from windlass.engines.snowflake.landing.naming import LOCK, WORKERS
from windlass.engines.snowflake.names import stored
from windlass.engines.snowflake.session import Fetched, Session, Value
from windlass.engines.statements import names, statement, verbatim
from windlass.errors import Refused
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State
from windlass.model.report import Problem

ALIVE_SECONDS = 90  # after its last sign, a process of another machine counts as gone
BEAT_SECONDS = 20
_TABLES: Mapping[str, tuple[str, ...]] = {
    RUNS: ("run", "state", "source", "config", "plan", "external_run", "external_url",
           "started_at", "finished_at", "outcome"),
    LINES: ("run", "step", "item", "note", "done_at"),
    REFUSED: ("run", "load_name", "place", "record", "line", "field", "reason", "fields"),
    WORKERS: ("run", "worker", "host", "pid", "beat_at"),
    LOCK: ("n",),
}  # fmt: skip
_WHOLE = ("record", "line", "pid", "n")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class Books:
    """In one session, and in one schema."""

    session: Session
    schema: str

    def _table(self, table: str) -> Any:
        return names(stored(self.schema), stored(table))

    @property
    def are_there(self) -> bool:
        text = statement("describe table {t}", t=self._table(RUNS))
        return bool(self.session.run_if_there(text, doing="reading the journal"))

    def make(self) -> None:
        """Make missing tables, outside of transactions."""
        for table, columns in _TABLES.items():
            parts = ", ".join(
                f"{one} {'NUMBER(38,0)' if one in _WHOLE else 'VARCHAR'}" for one in columns
            )
            text = "create table if not exists {t} ({parts})"
            self._run(statement(text, t=self._table(table), parts=verbatim(parts)))
        if not self._run(statement("select n from {t} limit 1", t=self._table(LOCK))):
            self._run(statement("insert into {t} (n) values (0)", t=self._table(LOCK)))

    def lock(self) -> None:
        """Until the transaction ends. Others that write lines wait."""
        self._run(statement("update {t} set n = n + 1", t=self._table(LOCK)))

    # runs

    def runs(self) -> list[LoadRun]:
        query = statement(
            "select {columns} from {t} order by started_at desc, run desc",
            columns=verbatim(", ".join(_TABLES[RUNS])), t=self._table(RUNS),
        )  # fmt: skip
        return [_made(row) for row in self._run(query)]

    def read(self, run: str) -> LoadRun | None:
        query = statement(
            "select {columns} from {t} where run = ?",
            columns=verbatim(", ".join(_TABLES[RUNS])), t=self._table(RUNS),
        )  # fmt: skip
        for row in self._run(query, [run]):
            return _made(row, self._lines(run))
        return None

    def _lines(self, run: str) -> dict[str, dict[str, dict[str, Any]]]:
        query = "select step, item, note from {t} where run = ? order by done_at, step, item"
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for step, item, note in self._run(statement(query, t=self._table(LINES)), [run]):
            found.setdefault(step, {})[item] = json.loads(note)
        return found

    def insert(self, run: LoadRun) -> None:
        self._insert(RUNS, [
            run.run, State.RUNNING.value, run.source, json_text(run.config), json_text(run.plan),
            run.external_run, run.external_url, run.started_at or now(), "", "",
        ])  # fmt: skip

    def set_state(self, run: str, state: State, outcome: Outcome | None = None) -> None:
        finished = "" if state is State.RUNNING else now()
        written = outcome_text(outcome) if outcome else ""
        text = "update {t} set state = ?, finished_at = ? where run = ?"
        self._run(statement(text, t=self._table(RUNS)), [state.value, finished, run])
        if written:
            text = "update {t} set outcome = ? where run = ?"
            self._run(statement(text, t=self._table(RUNS)), [written, run])

    def forget(self, run: str) -> None:
        for table in (RUNS, LINES, REFUSED, WORKERS):
            text = statement("delete from {t} where run = ?", t=self._table(table))
            self._run(text, [run])

    # lines

    def note(self, run: str, step: str, item: str) -> dict[str, Any] | None:
        query = "select note from {t} where run = ? and step = ? and item = ?"
        for (note,) in self._run(statement(query, t=self._table(LINES)), [run, step, item]):
            read: dict[str, Any] = json.loads(note)
            return read
        return None

    def add_line(self, run: str, step: str, item: str, note: Mapping[str, Any]) -> None:
        self._insert(LINES, [run, step, item, json_text(note), now()])

    def notes_of(self, step: str, item: str) -> list[tuple[LoadRun, dict[str, Any]]]:
        """The lines of all runs, the newest first."""
        found = ((run, self.note(run.run, step, item)) for run in self.runs())
        return [(run, note) for run, note in found if note is not None]

    # records that were set aside

    def keep_refused(self, run: str, load: str, place: str, rows: Sequence[BadRow]) -> None:
        """In place of those of an earlier attempt."""
        text = "delete from {t} where run = ? and load_name = ? and place = ?"
        self._run(statement(text, t=self._table(REFUSED)), [run, load, place])
        for row in rows:
            self._insert(REFUSED, [run, load, place, *astuple(row)])

    # workers

    def worker(self, run: str, *, with_own: bool = False) -> str:
        """Who works on the run, for people; empty: nobody else. `with_own`: this process counts."""
        query = "select worker, host, pid, beat_at from {t} where run = ?"
        for worker, host, pid, beat in self._run(statement(query, t=self._table(WORKERS)), [run]):
            if worker in _OWN and not with_own:
                continue
            if host == socket.gethostname() and not processes.exists(int(pid)):
                continue
            if datetime.now(UTC) - datetime.fromisoformat(beat) < timedelta(seconds=ALIVE_SECONDS):
                return f"process {pid} on {host}"
        return ""

    def check_in(self, run: str) -> str:
        """Show that this process works on a run; its sign, for `beat`.

        Raises:
            Refused: another process works on it.
        """
        self.lock()
        if other := self.worker(run):
            raise being_worked_on(self.session.place, run, other)
        sign = uuid4().hex
        self._run(statement("delete from {t} where run = ?", t=self._table(WORKERS)), [run])
        self._insert(WORKERS, [run, sign, socket.gethostname(), os.getpid(), now()])
        _OWN.add(sign)
        return sign

    def beat(self, sign: str) -> None:
        text = statement("update {t} set beat_at = ? where worker = ?", t=self._table(WORKERS))
        self._run(text, [now(), sign])

    def check_out(self, sign: str) -> None:
        text = statement("delete from {t} where worker = ?", t=self._table(WORKERS))
        self._run(text, [sign])
        _OWN.discard(sign)

    def _insert(self, table: str, values: Sequence[Value]) -> None:
        text = statement(
            "insert into {t} ({columns}) values ({marks})",
            t=self._table(table), columns=verbatim(", ".join(_TABLES[table])),
            marks=verbatim(", ".join(["?"] * len(values))),
        )  # fmt: skip
        self._run(text, values)

    def _run(self, text: str, values: Sequence[Value] = ()) -> Fetched:
        return self.session.run(text, values, doing="the journal")


_OWN: set[str] = set()  # signs of this process


def being_worked_on(place: str, run: str, other: str) -> Refused:
    message = f"another process works on it, in {place}: {other}"
    hint = f"wait until it has ended; {ALIVE_SECONDS} s after it died, it counts as gone"
    return Refused([Problem(f"run {run}", message, hint)])


def _made(
    row: Sequence[Any], lines: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
) -> LoadRun:
    return run_of(dict(zip(_TABLES[RUNS], row, strict=True)), lines)
