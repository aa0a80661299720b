"""Stores the runs of migrations into a database, the lines of their finished work, and what they
have made, in tables of that database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from windlass.engines.mysql.destination.server import Server
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.quoting import Quoted, Text, listed, part
from windlass.engines.run_rows import json_text, outcome_text, run_of
from windlass.engines.statements import verbatim
from windlass.errors import WindlassError
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State

PREFIX = "_windlass_"
RUNS, LINES, MADE, MAKER = (f"{PREFIX}{one}" for one in ("runs", "lines", "made", "maker"))
DROPPED = "drop_table"  # a step of a rollback
_SHORT, _NAME, _LONG = (
    "varchar(64) character set ascii collate ascii_bin not null",
    "varchar(255) character set utf8mb4 collate utf8mb4_bin not null",
    "longtext character set utf8mb4 collate utf8mb4_bin not null",
)
_TABLES: Mapping[str, Mapping[str, str]] = {
    RUNS: {
        "run": _SHORT, "state": _SHORT, "source": _LONG, "config": _LONG, "plan": _LONG,
        "external_run": _LONG, "external_url": _LONG, "started_at": _SHORT,
        "finished_at": _SHORT, "outcome": _LONG,
    },
    LINES: {"run": _SHORT, "step": _SHORT, "item": _NAME, "note": _LONG, "done_at": _SHORT},
    MADE: {"run": _SHORT, "statement": _SHORT, "object": _NAME, "relation": _NAME,
           "state": _SHORT, "shape": _LONG},
}  # fmt: skip
_KEYS = {RUNS: ("run",), LINES: ("run", "step", "item"), MADE: ("run", "statement")}


@dataclass(frozen=True, slots=True)
class MadeLine:
    """A statement that makes an object of a relation: the table or view itself, or a part of it.
    `shape` is the relation's definition after our last change."""

    statement: str
    object: str
    relation: str
    state: str
    shape: str


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Journal:
    """Each method works in the transaction of the session that it is given, if there is one."""

    tables = tuple(_TABLES)

    def __init__(self, server: Server) -> None:
        self._server = server

    def is_there(self, session: TargetSession) -> bool:
        """Raises:
        WindlassError: there are tables with our names that are not ours.
        """
        query = part(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = {} and table_name in ({}) order by table_name, ordinal_position",
            Text(self._server.database),
            listed(map(Text, _TABLES)),
        )
        found: dict[str, list[str]] = {}
        for table, column in map(_texts, session.run(query)):
            found.setdefault(table, []).append(column)
        for table, columns in found.items():
            if columns != list(_TABLES[table]):
                raise self._foreign(table, "is not a table of this version of windlass")
        if found:
            self._check_kinds(session)
            self._check_maker(session)
        return len(found) == len(_TABLES)

    def _check_kinds(self, session: TargetSession) -> None:
        query = part(
            "select table_name from information_schema.tables where table_schema = {}"
            " and table_name in ({}) and not (table_type = 'BASE TABLE' and engine = 'InnoDB')"
            " union all select event_object_table from information_schema.triggers"
            " where event_object_schema = {} and event_object_table in ({})",
            Text(self._server.database),
            listed(map(Text, _TABLES)),
            Text(self._server.database),
            listed(map(Text, _TABLES)),
        )
        for (table,) in map(_texts, session.run(query)):
            raise self._foreign(table, "is no table of InnoDB, or has a trigger: it is not ours")

    def _check_maker(self, session: TargetSession) -> None:
        """The server records who created a view, but not who created a table. Without the right to
        set a definer, nobody can create a view in another user's name."""
        query = part(
            "select definer from information_schema.views where table_schema = {}"
            " and table_name = {}",
            Text(self._server.database),
            Text(MAKER),
        )
        makers = [(one or b"").decode() for (one,) in session.run(query)]
        if makers == [self._server.facts.user]:
            return
        who = f"made by {makers[0]}" if makers else "not made by a run of ours, or by half of one"
        raise WindlassError(
            f"the journal in {self._server.place} ({RUNS} and others) is {who}, and its plans are"
            f" statements that {self._server.facts.user} would execute",
            hint="use the account that has made it; or drop these tables and the view"
            f" {MAKER}, if they are not needed",
            side="target",
        )

    def _foreign(self, table: str, why: str) -> WindlassError:
        hint = "rename it, if it is yours; else use the version that made it"
        return WindlassError(f"{self._server.database}.{table} {why}", hint=hint, side="target")

    def create(self, session: TargetSession) -> None:
        """Create what is missing. The view is first: without it, nothing counts as a journal."""
        if self.is_there(session):
            return
        if not self._server.has_in(session, MAKER):
            view = part("create view {} as select {} as made_by", Quoted(MAKER), Text("windlass"))
            session.run(view)
        for name, columns in _TABLES.items():
            listing = [part("{} {}", Quoted(one), verbatim(kind)) for one, kind in columns.items()]
            key = part("primary key ({})", listed(map(Quoted, _KEYS[name])))
            session.run(
                part(
                    "create table if not exists {} ({}) engine = InnoDB row_format = dynamic",
                    Quoted(name),
                    listed([*listing, key]),
                )
            )

    # runs

    def runs(self, session: TargetSession) -> list[LoadRun]:
        if not self.is_there(session):
            return []
        columns = listed(map(Quoted, _TABLES[RUNS]))
        query = part("select {} from {} order by started_at desc, run desc", columns, Quoted(RUNS))
        return [_run(_texts(row)) for row in session.run(query)]

    def read(self, session: TargetSession, run: str) -> LoadRun | None:
        if not self.is_there(session):
            return None
        columns = listed(map(Quoted, _TABLES[RUNS]))
        query = part("select {} from {} where run = {}", columns, Quoted(RUNS), Text(run))
        for row in session.run(query):
            return _run(_texts(row), self.lines(session, run))
        return None

    def lines(self, session: TargetSession, run: str) -> dict[str, dict[str, dict[str, Any]]]:
        query = part(
            "select step, item, note from {} where run = {} order by done_at, step, item",
            Quoted(LINES),
            Text(run),
        )
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for step, item, note in map(_texts, session.run(query)):
            found.setdefault(step, {})[item] = json.loads(note)
        return found

    def insert(self, session: TargetSession, run: LoadRun) -> None:
        values = [
            run.run, State.RUNNING.value, run.source, json_text(run.config), json_text(run.plan),
            run.external_run, run.external_url, run.started_at or now(), "", "",
        ]  # fmt: skip
        self._add(session, RUNS, values)

    def set_state(
        self, session: TargetSession, run: str, state: State, outcome: Outcome | None = None
    ) -> None:
        finished = "" if state is State.RUNNING else now()
        sets = [
            part("state = {}", Text(state.value)),
            part("finished_at = {}", Text(finished)),
        ]
        if outcome is not None:
            sets.append(part("outcome = {}", Text(outcome_text(outcome))))
        session.run(part("update {} set {} where run = {}", Quoted(RUNS), listed(sets), Text(run)))

    # lines

    def note(self, session: TargetSession, run: str, step: str, item: str) -> dict[str, Any] | None:
        query = part(
            "select note from {} where run = {} and step = {} and item = {}",
            Quoted(LINES), Text(run), Text(step), Text(item),
        )  # fmt: skip
        for (note,) in map(_texts, session.run(query)):
            read: dict[str, Any] = json.loads(note)
            return read
        return None

    def add_line(
        self, session: TargetSession, run: str, step: str, item: str, note: Mapping[str, Any]
    ) -> None:
        self._add(session, LINES, [run, step, item, json_text(note), now()])

    def forget_lines(
        self, session: TargetSession, run: str, step: str, items: Sequence[str]
    ) -> None:
        query = part(
            "delete from {} where run = {} and step = {} and item in ({})",
            Quoted(LINES), Text(run), Text(step), listed(map(Text, items)),
        )  # fmt: skip
        session.run(query)

    # what is made

    def made(self, session: TargetSession, run: str, statement: str) -> str:
        """The state of a statement that makes something; empty if it was not begun."""
        query = part(
            "select state from {} where run = {} and statement = {}",
            Quoted(MADE), Text(run), Text(statement),
        )  # fmt: skip
        return next((_texts(row)[0] for row in session.run(query)), "")

    def note_made(
        self, session: TargetSession, run: str, statement: str, object_: tuple[str, str], state: str
    ) -> None:
        """`object_` is what the statement makes, and the table that it changes."""
        values = listed(map(Text, [run, statement, *object_, state, ""]))
        session.run(
            part(
                "insert into {} values ({}) on duplicate key update state = {}",
                Quoted(MADE), values, Text(state),
            )
        )  # fmt: skip

    def note_shape(self, session: TargetSession, run: str, table: str, shape: str) -> None:
        """Record what a table is after our last change of it."""
        session.run(
            part(
                "update {} set shape = {} where run = {} and object = {} and relation = {}",
                Quoted(MADE), Text(shape), Text(run), Text(table), Text(table),
            )
        )  # fmt: skip

    def all_made(self, session: TargetSession, run: str) -> list[MadeLine]:
        columns = listed(map(Quoted, list(_TABLES[MADE])[1:]))
        query = part("select {} from {} where run = {}", columns, Quoted(MADE), Text(run))
        return [MadeLine(*_texts(row)) for row in session.run(query)]

    def forget_made(self, session: TargetSession, run: str, table: str) -> None:
        session.run(
            part("delete from {} where run = {} and relation = {}",
                 Quoted(MADE), Text(run), Text(table))
        )  # fmt: skip

    def forget(self, session: TargetSession, run: str) -> None:
        """A run, with its lines. The tables stay."""
        for table in (LINES, MADE, RUNS):
            session.run(part("delete from {} where run = {}", Quoted(table), Text(run)))

    def _add(self, session: TargetSession, table: str, values: Sequence[str]) -> None:
        query = part("insert into {} values ({})", Quoted(table), listed(map(Text, values)))
        size, most = len(query.as_string(None)), self._server.facts.packet_bytes
        if size > most:
            raise WindlassError(
                f"a line of the journal takes a statement of {size:,} bytes, and the server's"
                f" max_allowed_packet is {most:,}",
                hint="raise max_allowed_packet on the server",
                side="target",
            )
        session.run(query)


def _texts(row: Sequence[bytes | None]) -> tuple[str, ...]:
    return tuple((one or b"").decode() for one in row)


def _run(
    row: Sequence[str], lines: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
) -> LoadRun:
    return run_of(dict(zip(_TABLES[RUNS], row, strict=True)), lines)
