"""Does each piece of a run's work once: rows commit together with their journal line. A definition
commits by itself, so the journal first records what is begun. What a kill may have left half made
is made again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from psycopg import sql

from windlass.engines.destination import Note, Session
from windlass.engines.mysql.destination.asides import PUT_BACK
from windlass.engines.mysql.destination.journal import DROPPED, PREFIX, Journal
from windlass.engines.mysql.destination.server import Server
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.quoting import Quoted, Text, part
from windlass.errors import Refused, WindlassError
from windlass.model.load import LoadRun
from windlass.model.outcome import UNFINISHED, State
from windlass.model.report import Problem

_QUOTED = r"`((?:[^`]|``)+)`"
_FORMS = {
    "table": re.compile(rf"create table {_QUOTED} \("),
    "index": re.compile(rf"create (?:unique )?index {_QUOTED} on {_QUOTED} \("),
    "foreign key": re.compile(rf"alter table {_QUOTED} add constraint {_QUOTED} foreign key \("),
    "view": re.compile(rf"create view {_QUOTED} \("),
    "no view": re.compile(rf"drop view {_QUOTED}\Z"),
}
BEGUN, READY, DONE = "begun", "ready", "done"  # READY: a table that does not have its name yet


@dataclass(frozen=True, slots=True)
class Object:
    """What a statement makes. For an index or foreign key, `table` is the one it belongs to."""

    kind: str
    name: str
    table: str


def object_of(text: str) -> Object:
    """The object of a statement that `windlass.engines.mysql.destination.statements` wrote.

    Raises:
        WindlassError: it is any other statement, which a plan in the journal cannot make us
            execute.
    """
    for kind, form in _FORMS.items():
        if found := form.match(text):
            names = [one.replace("``", "`") for one in found.groups()]
            if kind == "foreign key":
                names.reverse()
            return Object(kind, names[0], names[-1])
    raise WindlassError(
        "the plan in the journal has a statement that no plan of ours has", side="target"
    )


def _half_undone(run: str) -> Refused:
    """Names that the run has made may be those of older tables again."""
    message = "is rolled back in part, and cannot be resumed"
    return Refused([Problem(f"run {run}", message, f"end that: windlass rollback {run}")])


def draft_of(statement: str) -> str:
    """The name of a table until it gets its final one."""
    return f"{PREFIX}new_{statement[:16]}"


class Writing:
    """Writes to one target."""

    def __init__(self, server: Server, journal: Journal) -> None:
        self._server, self._journal = server, journal

    def begin(self, run: LoadRun) -> LoadRun:
        with self._server.session() as session:
            self._journal.create(session)
            with session.transaction():
                found = self._journal.read(session, run.run)
                if found is None:
                    self._journal.insert(session, run)
                elif {DROPPED, PUT_BACK} & set(found.lines):
                    raise _half_undone(run.run)
                elif found.state in UNFINISHED:
                    self._journal.set_state(session, run.run, State.RUNNING)
            begun = self._journal.read(session, run.run)
            assert begun is not None
            return begun

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        with self._server.session() as session:
            self._server.check(session)
            noted = self._journal.note(session, run, step, item)
            if noted is not None:
                return noted
            with session.transaction():
                note = work(Making(self._server, self._journal, session, run))
                self._server.check(session)
                self._journal.add_line(session, run, step, item, note)
                return note


class Making:
    """The session of a piece of work; see `windlass.engines.destination.Session`."""

    def __init__(self, server: Server, journal: Journal, session: TargetSession, run: str) -> None:
        self._server, self._journal, self.session, self._run = server, journal, session, run

    def execute(self, query: str, parameters: Any = (), /) -> Any:
        """Make something, unless it is already made."""
        assert not parameters, "definitions have no parameters"
        made = object_of(query)
        if made.kind == "no view":
            self.session.run(part("drop view if exists {}", Quoted(made.name)))
            self._journal.forget_made(self.session, self._run, made.name)
            return
        statement = md5(query.encode()).hexdigest()
        state = self._journal.made(self.session, self._run, statement)
        if state == DONE:
            return
        if not state:
            self._check_free(made)
            self._note(statement, made, BEGUN)
        if made.kind == "table":
            self._make_table(query, statement, made, state)
        else:
            if state:
                self._drop(made)
            self.session.run(query)
        self._note(statement, made, DONE)
        self._note_shape(made.table)

    def settle(self, query: sql.Composable, table: str) -> None:
        """Change a table in a way that is harmless to repeat."""
        self.session.run(query)
        self._note_shape(table)

    def _note_shape(self, table: str) -> None:
        shape = self._server.shape(self.session, table)
        self._journal.note_shape(self.session, self._run, table, shape)

    def _note(self, statement: str, made: Object, state: str) -> None:
        self._journal.note_made(self.session, self._run, statement, (made.name, made.table), state)
        self.session.run("commit")

    def _check_free(self, made: Object) -> None:
        if made.kind in ("table", "view") and self._server.has_in(self.session, made.name):
            raise self._appeared(made.name)

    def _appeared(self, name: str) -> WindlassError:
        return WindlassError(
            f"{self._server.database}.{name} has appeared since the plan, and is not ours",
            hint="rename or drop it; then run the same command again",
            side="target",
        )

    def _make_table(self, query: str, statement: str, made: Object, state: str) -> None:
        """Make it under a name of ours, and rename it at once. So a table with the final name is
        ours only if the one with our name is gone."""
        draft = draft_of(statement)
        if state in ("", BEGUN):
            self.session.run(part("drop table if exists {}", Quoted(draft)))
            head = part("create table {}", Quoted(made.name)).as_string(None)
            text = part("create table {}", Quoted(draft)).as_string(None) + query[len(head) :]
            self.session.run(text)
            self._note(statement, made, READY)
        if self._server.has_in(self.session, draft):
            if self._server.has_in(self.session, made.name):
                raise self._appeared(made.name)
            self.session.run(part("rename table {} to {}", Quoted(draft), Quoted(made.name)))

    def _drop(self, made: Object) -> None:
        """Drop what a kill may have left."""
        database, table, name = map(Text, (self._server.database, made.table, made.name))
        match made.kind:
            case "index":
                there = part(
                    "select 1 from information_schema.statistics where table_schema = {}"
                    " and table_name = {} and index_name = {} limit 1", database, table, name,
                )  # fmt: skip
                drop = part("drop index {} on {}", Quoted(made.name), Quoted(made.table))
            case "foreign key":
                there = part(
                    "select 1 from information_schema.table_constraints where table_schema = {}"
                    " and table_name = {} and constraint_name = {}", database, table, name,
                )  # fmt: skip
                drop = part(
                    "alter table {} drop foreign key {}", Quoted(made.table), Quoted(made.name)
                )
            case _:
                there = part(
                    "select 1 from information_schema.views where table_schema = {}"
                    " and table_name = {} and definer = {}",
                    database, name, Text(self._server.facts.user),
                )  # fmt: skip
                drop = part("drop view {}", Quoted(made.name))
        if self.session.run(there):
            self.session.run(drop)
