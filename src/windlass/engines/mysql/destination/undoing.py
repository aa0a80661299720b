"""Undoes a migration into a database: drops the tables and views that it made, if nobody has
changed them since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from windlass.engines.destination import CHUNK
from windlass.engines.mysql.destination.asides import asides_of
from windlass.engines.mysql.destination.journal import DROPPED, PREFIX, Journal, MadeLine
from windlass.engines.mysql.destination.proof import count_rows
from windlass.engines.mysql.destination.server import Server
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.destination.writing import BEGUN, DONE, draft_of
from windlass.engines.mysql.quoting import Quoted, Text, Whole, listed, part
from windlass.model.conversion import ConversionPlan, TableConversion, chunk_ids, summed
from windlass.model.load import LoadRun
from windlass.model.outcome import State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.report import Problem
from windlass.model.translation import Digest
from windlass.model.units import plural
from windlass.model.wording import word

COUNTED, COPIED = "validate_content", "copy_tables"
_DRAFT = f"{PREFIX}new_"
Digests = Callable[[TargetSession, TableConversion], Digest]


class Undoing:
    """Undoes one run."""

    def __init__(
        self, server: Server, journal: Journal, run: str, plan: ConversionPlan, digest: Digests
    ) -> None:
        self._server, self._journal, self._run = server, journal, run
        self._plan, self._digest = plan, digest
        self._asides = asides_of(server, journal, run, plan)

    def foresee(self) -> Foreseen:
        blocked = []
        with self._server.session() as session:
            found = self._journal.read(session, self._run)
            made = self._made(session)
            is_running = found is not None and found.state is State.RUNNING
            if is_running and self._server.is_worked_on:
                hint = "wait until it has ended, or stop it; then run the same command again"
                message = f"another process works on it, in {self._server.place}"
                blocked.append(Problem(f"run {self._run}", message, hint))
            written: list[Problem] = []
            if not blocked and found is not None:
                blocked += self._asides.in_the_way(session, made)
                written += self._beside(session, made)
                written += self._written(session, found, made)
            summary = self._summary(made) + _back(len(self._asides.kept(session)), "puts back")
        return Foreseen(summary, written, blocked)

    def _summary(self, made: Mapping[str, str]) -> str:
        return f"drops {plural(len(self._tables(made)), 'table')} from {self._server.place}"

    def _made(self, session: TargetSession) -> dict[str, str]:
        """The tables and views that the run has made and that still exist, with their definitions
        after that; empty where a kill may have left one changed."""
        lines = self._journal.all_made(session, self._run)
        unsure = {one.relation for one in lines if one.state != DONE}
        restored = self._asides.restored(session)
        return {
            one.object: "" if one.object in unsure else one.shape
            for one in lines
            if one.object == one.relation
            and one.object not in restored
            and self._is_there(session, one)
        }

    def _is_there(self, session: TargetSession, one: MadeLine) -> bool:
        has = self._server.has_in(session, one.object)
        if one.state == DONE or not has or one.state == BEGUN:
            return has and one.state != BEGUN
        return not self._server.has_in(session, draft_of(one.statement))

    def _tables(self, made: Mapping[str, str]) -> list[str]:
        return [one.target.name for one in self._plan.tables if one.target.name in made]

    def undo(self, others: Others) -> Undone:
        """Undo, tables first. What is dropped is journalled, so the same command can finish after a
        kill.

        Raises:
            Refused: a process works on it, or others have changed it since.
        """
        with self._server.working(self._run), self._server.session() as session:
            found = self._journal.read(session, self._run)
            assert found is not None, "the run is in the journal"
            made = self._made(session)
            tables = self._tables(made)
            Foreseen("", blocked=list(self._asides.in_the_way(session, made))).refuse()
            beside = list(self._beside(session, made))
            self._lock(session, tables)
            try:
                written = Foreseen("", [*beside, *self._written(session, found, made)])
                written.refuse(force=others is Others.LOSE)
                for name in tables:
                    self._drop(session, name)
            finally:
                session.run("unlock tables")
            for view in reversed(self._plan.views):
                if view.target.name in made:
                    session.run(part("drop view if exists {}", Quoted(view.target.name)))
            self._drop_drafts(session)
            back = self._asides.put_back(session)
            self._journal.set_state(session, self._run, State.ROLLED_BACK)
        done = f"{plural(len(tables), 'table')} dropped{_back(back, 'put back', after=True)}"
        return Undone(f"run {self._run} is rolled back: {done}")

    def _lock(self, session: TargetSession, tables: Sequence[str]) -> None:
        """Lock the tables, so that nobody writes to them between the comparison and the drop."""
        if not tables:
            return
        ours = [part("{} write", Quoted(one)) for one in (*tables, *self._journal.tables)]
        session.run(part("lock tables {}", listed(ours)))

    def _drop(self, session: TargetSession, name: str) -> None:
        note = {"table": name}
        if self._journal.note(session, self._run, DROPPED, name) is None:
            self._journal.add_line(session, self._run, DROPPED, name, note)
        session.run(part("drop table {}", Quoted(name)))

    def _drop_drafts(self, session: TargetSession) -> None:
        """Drop tables under our own names, which a kill left."""
        query = part(
            "select table_name from information_schema.tables where table_schema = {}"
            " and left(table_name, {}) = {}",
            Text(self._server.database), Whole(len(_DRAFT)), Text(_DRAFT),
        )  # fmt: skip
        for (name,) in session.run(query):
            session.run(part("drop table {}", Quoted((name or b"").decode())))

    # what others have done

    def _written(
        self, session: TargetSession, found: LoadRun, made: Mapping[str, str]
    ) -> Iterator[Problem]:
        dropped = set(found.lines.get(DROPPED, {}))
        lines = self._journal.all_made(session, self._run)
        finished = {one.object for one in lines if one.state == DONE}
        for table in self._plan.tables:
            name = table.target.name
            if name not in made:
                if name in finished and name not in dropped:
                    yield self._lost(str(table.target), "is gone")
            elif made[name] and made[name] != self._server.shape(session, name):
                yield self._lost(str(table.target), "has another definition now")
            elif why := self._changed(session, table, found.lines):
                yield self._lost(str(table.target), why)

    def _beside(self, session: TargetSession, made: Mapping[str, str]) -> Iterator[Problem]:
        """Problems with objects other than the run's tables, which alone are locked."""
        yield from self._asides.lost(session)
        yield from self._others(session, set(self._tables(made)))
        for view in self._plan.views:
            name = view.target.name
            if made.get(name) and made[name] != self._server.shape(session, name):
                yield self._lost(str(view.target), "has another definition now")

    def _changed(
        self, session: TargetSession, table: TableConversion, lines: Mapping[str, Any]
    ) -> str:
        source = str(table.source)
        note = lines.get(COUNTED, {}).get(source) or lines.get(COPIED, {}).get(source)
        parts = lines.get(CHUNK, {})
        if note is None and (some := [parts[one] for one in chunk_ids(table) if one in parts]):
            note = summed(some)
        if note is None:
            rows = count_rows(session, table.target.name)
            return f"has {rows:,} rows, and the run has added none" if rows else ""
        if (digest := note.get("digest")) is not None:
            is_same = self._digest(session, table) == Digest(**digest)
            return "" if is_same else "has other rows now"
        rows = count_rows(session, table.target.name)
        return "" if rows == note["rows"] else f"has {rows:,} rows now, and had {note['rows']:,}"

    @staticmethod
    def _lost(name: str, message: str) -> Problem:
        return Problem(name, f"{message}: others have changed it since", _anyway())

    def _others(self, session: TargetSession, tables: set[str]) -> Iterator[Problem]:
        """Objects of others, which would stop working."""
        if not tables:
            return
        database, names = Text(self._server.database), listed(map(Text, sorted(tables)))
        keys = part(
            "select distinct table_schema, table_name, constraint_name"
            " from information_schema.key_column_usage where referenced_table_schema = {0}"
            " and referenced_table_name in ({1}) and not (table_schema = {0}"
            " and table_name in ({1}))", database, names,
        )  # fmt: skip
        for schema, table, name in _texts(session, keys):
            yield Problem(f"{schema}.{table}", f"refers to a table of the run ({name})", _anyway())
        triggers = part(
            "select trigger_name, event_object_table from information_schema.triggers"
            " where event_object_schema = {} and event_object_table in ({})", database, names,
        )  # fmt: skip
        for name, table in _texts(session, triggers):
            yield Problem(name, f"is a trigger of {table}, and was made by others", _anyway())
        yield from self._views_of_others(session, tables)

    def _views_of_others(self, session: TargetSession, tables: set[str]) -> Iterator[Problem]:
        ours = {one.target.name for one in self._plan.views}
        views = "select table_schema, table_name, view_definition from information_schema.views"
        for schema, name, text in _texts(session, views):
            is_ours = schema == self._server.database and name in ours
            kept = tables - self._asides.names  # a view of the others works with them again
            used = (f"{_quoted(self._server.database)}.{_quoted(one)}" for one in kept)
            if not is_ours and any(one in text for one in used):
                message = "was made by others, and uses a table of the run"
                yield Problem(f"{schema}.{name}", message, _anyway())


def _back(count: int, words: str, *, after: bool = False) -> str:
    if not count:
        return ""
    what = plural(count, "object")
    return f", {what} {words}" if after else f" and {words} {what}"


def _quoted(name: str) -> str:
    return Quoted(name).as_string(None)


def _texts(session: TargetSession, query: sql.Composable | str) -> list[tuple[str, ...]]:
    return [tuple((one or b"").decode() for one in row) for row in session.run(query)]


def _anyway() -> str:
    return f"{word('force')} undoes it anyway"
