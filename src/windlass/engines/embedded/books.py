"""The runs of loads into a file, and the lines of their finished work; stored in tables of the
file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from windlass.engines.embedded.dialect import Dialect, Session, fetch
from windlass.engines.embedded.names import FAILING
from windlass.engines.incoming.names import LINES, REFUSED, RUNS
from windlass.engines.run_rows import json_text, outcome_text, run_of
from windlass.engines.statements import each, listed, names, statement
from windlass.errors import WindlassError
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State
from windlass.model.relation import Name

_TABLES: Mapping[str, Sequence[str]] = {
    RUNS: ("run", "state", "source", "config", "plan", "external_run", "external_url",
           "started_at", "finished_at", "outcome"),
    LINES: ("run", "step", "item", "note", "done_at"),
    REFUSED: ("run", "load", "input", "record", "line", "field", "reason", "fields"),
    FAILING: ("run", "load", "expectation", "input", "record", "fields"),
}  # fmt: skip
_KEYS = {RUNS: ("run",), LINES: ("run", "step", "item")}
_INTEGERS = ("record", "line")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Books:
    """See `windlass.engines.landing.Landing`. Each method is called inside a transaction of the
    caller's."""

    def __init__(self, dialect: Dialect, schema: str) -> None:
        self._dialect, self._schema = dialect, schema
        self._are_ours = False  # set once it was checked

    def _name(self, table: str) -> Name:
        return Name(self._schema, table)

    def _table(self, table: str) -> Any:
        return names(self._schema, table)

    def is_there(self, session: Session) -> bool:
        """Whether the tables exist.

        Raises:
            WindlassError: there are tables with our names that are not ours.
        """
        if not self._are_ours:
            found = [self._check(session, table) for table in _TABLES]  # each of them
            self._are_ours = all(found)
        return self._are_ours

    def _check(self, session: Session, table: str) -> bool:
        columns = self._dialect.columns(session, self._name(table))
        if columns and tuple(columns) != tuple(_TABLES[table]):
            raise WindlassError(
                f"{self._name(table)} is not a table of this version of windlass",
                hint="rename it, if it is yours; else use the version that made it",
            )
        return bool(columns)

    def create(self, session: Session) -> None:
        """Create missing tables."""
        if self.is_there(session):
            return
        for table in _TABLES:
            if not self._check(session, table):
                self._make(session, table)

    def _make(self, session: Session, table: str) -> None:
        parts = [
            sql.SQL("{} {}").format(names(one), sql.SQL("bigint" if one in _INTEGERS else "text"))
            for one in _TABLES[table]
        ]
        if table in _KEYS:
            key = each("{}", map(names, _KEYS[table]))
            parts.append(sql.SQL("primary key ({})").format(key))
        session.execute(
            statement(
                "create table {table} ({parts})", table=self._table(table), parts=listed(parts)
            )
        )

    # runs

    def runs(self, session: Session) -> list[LoadRun]:
        if not self.is_there(session):
            return []
        query = statement(
            "select {columns} from {runs} order by started_at desc, run desc",
            columns=each("{}", map(names, _TABLES[RUNS])),
            runs=self._table(RUNS),
        )
        return [_run(row) for row in fetch(session, query)]

    def read(self, session: Session, run: str) -> LoadRun | None:
        if not self.is_there(session):
            return None
        query = statement(
            "select {columns} from {runs} where run = ?",
            columns=each("{}", map(names, _TABLES[RUNS])),
            runs=self._table(RUNS),
        )
        for row in fetch(session, query, [run]):
            return _run(row, self.lines(session, run))
        return None

    def lines(self, session: Session, run: str) -> dict[str, dict[str, dict[str, Any]]]:
        query = "select step, item, note from {lines} where run = ? order by done_at, step, item"
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for step, item, note in fetch(session, statement(query, lines=self._table(LINES)), [run]):
            found.setdefault(step, {})[item] = json.loads(note)
        return found

    def insert(self, session: Session, run: LoadRun) -> None:
        query = statement(
            "insert into {runs} ({columns}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            columns=each("{}", map(names, _TABLES[RUNS])),
            runs=self._table(RUNS),
        )
        session.execute(query, [
            run.run, State.RUNNING.value, run.source, json_text(run.config), json_text(run.plan),
            run.external_run, run.external_url, run.started_at or now(), "", "",
        ])  # fmt: skip

    def set_state(
        self, session: Session, run: str, state: State, outcome: Outcome | None = None
    ) -> None:
        finished = "" if state is State.RUNNING else now()
        written = outcome_text(outcome) if outcome else ""
        query = (
            "update {runs} set state = ?, finished_at = ?,"
            " outcome = case when ? = '' then outcome else ? end where run = ?"
        )
        session.execute(
            statement(query, runs=self._table(RUNS)),
            [state.value, finished, written, written, run],
        )

    def forget(self, session: Session, run: str) -> None:
        """A run, with its lines and the rows that were set aside."""
        for table in _TABLES:
            query = statement("delete from {table} where run = ?", table=self._table(table))
            session.execute(query, [run])

    # lines

    def note(self, session: Session, run: str, step: str, item: str) -> dict[str, Any] | None:
        query = "select note from {lines} where run = ? and step = ? and item = ?"
        for (note,) in fetch(
            session, statement(query, lines=self._table(LINES)), [run, step, item]
        ):
            read: dict[str, Any] = json.loads(note)
            return read
        return None

    def add_line(
        self, session: Session, run: str, step: str, item: str, note: Mapping[str, Any]
    ) -> None:
        query = "insert into {lines} (run, step, item, note, done_at) values (?, ?, ?, ?, ?)"
        session.execute(
            statement(query, lines=self._table(LINES)), [run, step, item, json_text(note), now()]
        )

    def notes_of(self, session: Session, step: str, item: str) -> list[tuple[LoadRun, Any]]:
        """The lines of all runs, the newest first."""
        found = []
        for run in self.runs(session):
            note = self.note(session, run.run, step, item)
            if note is not None:
                found.append((run, note))
        return found


def _run(
    row: Sequence[Any], lines: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
) -> LoadRun:
    return run_of(dict(zip(_TABLES[RUNS], row, strict=True)), lines)
