"""A database file whose tables are loaded: see `windlass.engines.landing.Landing`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from windlass.engines.base import Facts
from windlass.engines.destination import is_conversion
from windlass.engines.embedded import leaving
from windlass.engines.embedded.books import Books
from windlass.engines.embedded.changing import Changing
from windlass.engines.embedded.checking import FileChecking
from windlass.engines.embedded.dialect import Session, fetch
from windlass.engines.embedded.failing import keep_failing
from windlass.engines.embedded.file import File
from windlass.engines.embedded.leaving import remove_staged
from windlass.engines.embedded.making import add_columns, make_table
from windlass.engines.embedded.marks import highest
from windlass.engines.embedded.matching import Matching
from windlass.engines.embedded.names import done_inputs, stage_file, undo_table
from windlass.engines.embedded.past import Undos
from windlass.engines.embedded.refused import keep_refused
from windlass.engines.embedded.surveying import survey
from windlass.engines.embedded.working import being_worked_on, is_worked_on
from windlass.engines.incoming.names import name_of
from windlass.engines.incoming.past import Made, last_watermark, line_of
from windlass.engines.incoming.shape import all_columns, lasting_key, only_adds
from windlass.engines.landing import APPLIED, STAGED, Input, check_hidden, not_staged, staged_item
from windlass.engines.statements import statement
from windlass.errors import CannotResume
from windlass.model.load import Counts, Finding, Load, LoadRun, Staged, Table
from windlass.model.outcome import UNFINISHED, Outcome, State
from windlass.model.past import Foreseen, Left, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem


class FileLanding:
    """Keeps no session: each call opens what it needs, because others use the file too."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._books = Books(file.dialect, file.schema)
        self._undos = Undos(file, self._books)
        self.place = file.place

    @property
    def facts(self) -> Facts:
        return self._file.facts

    @property
    def default_schema(self) -> str:
        return self._file.schema

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._file.close()

    def cancel(self) -> None:
        self._file.cancel()

    def table(self, name: str) -> Table | None:
        if not self._file.is_there:
            return None
        with self._file.reading(f"reading {name}") as session:
            return self._file.describe(session, name_of(name, self._file.schema))

    def survey(self, loads: Sequence[Load]) -> Sequence[Problem]:
        return survey(self._file, self._books, loads)

    # runs

    def runs(self) -> Sequence[LoadRun]:
        if not self._file.is_there:
            return []
        with self._file.reading("reading its runs") as session:
            return [one for one in self._books.runs(session) if not is_conversion(one)]

    def read(self, run: str) -> LoadRun | None:
        if not self._file.is_there:
            return None
        with self._file.reading(f"reading run {run}") as session:
            return self._books.read(session, run)

    def begin(self, run: LoadRun) -> LoadRun:
        """A run that is finished is returned as it is."""
        with self._file.writing(f"beginning run {run.run}") as session:
            self._books.create(session)
            found = self._books.read(session, run.run)
            if found is None:
                self._books.insert(session, run)
            elif found.state in UNFINISHED:
                if is_worked_on(self._file.path, run.run):
                    raise being_worked_on(self.place, run.run)
                self._books.set_state(session, run.run, State.RUNNING)
            begun = self._books.read(session, run.run)
            assert begun is not None
            return begun

    def is_active(self, run: str) -> bool:
        return is_worked_on(self._file.path, run)

    def working(self, run: str) -> AbstractContextManager[None]:
        return self._file.working(run)

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        with self._file.writing(f"ending run {run}") as session:
            self._books.set_state(session, run, state, outcome)

    # the work

    def stage(self, run: str, load: Load, number: int, source: Input) -> Staged:
        check_hidden(load)
        applied = self._note(run, APPLIED, load.name)
        noted = self._note(run, STAGED, staged_item(load.name, number))
        if applied is not None and noted is not None:  # the staged rows may no longer exist
            return Staged(noted["rows"], noted["refused"])
        staged = self._file.stage(self._staged(run, load), load, number, source)
        if noted is None:
            note = {"rows": staged.rows, "refused": staged.refused, "input": source.place}
            with self._file.writing("journalling what is staged") as session:
                if self._books.note(session, run, STAGED, staged_item(load.name, number)) is None:
                    self._books.add_line(session, run, STAGED, staged_item(load.name, number), note)
        return staged

    def check(self, run: str, load: Load) -> Sequence[Finding]:
        if self._note(run, APPLIED, load.name) is not None:
            return []
        return self._file.with_memory(lambda: self._checked(run, load))

    def _checked(self, run: str, load: Load) -> Sequence[Finding]:
        with self._file.reading(f"checking {load.name}", self._there(run, load)) as session:
            checking = FileChecking(load, _places(session), session, self._file.dialect)
            found = [one.finding for one in checking.broken()]
        if found and load.bad.keeps_failing:
            keep_failing(self._file, self._books, self._there(run, load), run, load)
        return found

    def apply(self, run: str, load: Load) -> Counts:
        noted = self._note(run, APPLIED, load.name)
        if noted is not None:
            return Counts(**noted["counts"])
        return self._file.with_memory(lambda: self._apply(run, load), adds=only_adds(load))

    def _apply(self, run: str, load: Load) -> Counts:
        with self._file.writing(f"loading {load.name}", self._there(run, load)) as session:
            noted = self._books.note(session, run, APPLIED, load.name)
            if noted is not None:
                return Counts(**noted["counts"])
            counts, note = self._applied(session, run, load)
            self._books.add_line(session, run, APPLIED, load.name, note)
            return counts

    def _applied(self, session: Session, run: str, load: Load) -> tuple[Counts, dict[str, Any]]:
        dialect = self._file.dialect
        rows, refused = _done(session, load)
        mark = highest(session, dialect, load)
        if load.creates:
            make_table(session, dialect, load)
        add_columns(session, dialect, load)
        there = self._file.describe(session, load.table.name)
        assert there is not None
        load = replace(load, table=there)
        FileChecking(load, _places(session), session, dialect).refuse_keys()
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        positions = dialect.by_position(session, load.table)
        changing = Changing(session, dialect, run, load, positions, at)
        if only_adds(load):
            counts = changing.add()
        else:
            Matching(session, dialect, run, load, positions).match()
            counts = changing.change()
        counts = replace(counts, read=rows + refused, refused=refused)
        keep_refused(session, self._file.schema, run, load)
        made = Made(
            load.name, load.table.name, undo_table(run, load.name),
            tuple(one.name for one in all_columns(load) if not one.generated), lasting_key(load),
            counts.as_dict(), load.creates, tuple(one.name for one in load.adds),
        )  # fmt: skip
        return counts, line_of(made, load, mark)

    def clean_up(self, run: str, load: Load) -> None:
        remove_staged(self._staged(run, load))

    # the way back

    def foresee(self, run: str) -> Foreseen | None:
        return self._undos.foresee(run)

    def undo(self, run: str, others: Others) -> Undone:
        return self._file.with_memory(lambda: self._undos.undo(run, others))

    def watermark(self, load: Load) -> str:
        if not self._file.is_there:
            return ""
        with self._file.reading("reading the watermark") as session:
            return last_watermark(load, self._books.notes_of(session, APPLIED, load.name))

    def left(self, run: str = "") -> Sequence[Left]:
        return leaving.read_left(self._file, self._books, run)

    def clean(self, lefts: Sequence[Left]) -> None:
        leaving.clean(self._file, self._books, lefts)

    def assets(self, table: Name) -> list[dict[str, str]]:
        path = quote(self._file.path.lstrip("/"))
        return [{"uri": f"{self.facts.engine}:///{path}/{table.schema}/{table.name}"}]

    # staged rows

    def _staged(self, run: str, load: Load) -> Path:
        return stage_file(self._file.path, run, load.name)

    def _there(self, run: str, load: Load) -> Path:
        """Raises:
        CannotResume: nothing is staged.
        """
        staged = self._staged(run, load)
        if not staged.exists():
            raise CannotResume(
                f"{load.name}: the staged rows are gone: {staged} is not there",
                hint="nothing was loaded; start again with a new run",
            )
        return staged

    def _note(self, run: str, step: str, item: str) -> dict[str, Any] | None:
        with self._file.reading("reading the journal") as session:
            return self._books.note(session, run, step, item)


def _places(session: Session) -> dict[int, str]:
    query = statement("select number, place from {done}", done=done_inputs())
    return dict(fetch(session, query))


def _done(session: Session, load: Load) -> tuple[int, int]:
    """Rows and refused records of what is staged.

    Raises:
        CannotResume: not every input is.
    """
    query = statement("select rows, refused from {done} order by number", done=done_inputs())
    found = fetch(session, query)
    if len(found) < len(load.inputs):
        raise not_staged(load, len(found))
    return sum(rows for rows, _ in found), sum(refused for _, refused in found)
