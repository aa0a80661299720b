"""Undoes runs of loads, and foresees what that would do."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.engines.embedded.books import Books
from windlass.engines.embedded.dialect import Session, fetch, number
from windlass.engines.embedded.file import File
from windlass.engines.embedded.names import table_of
from windlass.engines.embedded.undoing import Undoing
from windlass.engines.embedded.working import being_worked_on, is_worked_on
from windlass.engines.incoming.past import (
    Made,
    done_text,
    gone,
    made_by,
    still_made,
    summary,
    unknown,
)
from windlass.engines.statements import names, statement
from windlass.errors import Refused, WindlassError
from windlass.model.load import LoadRun
from windlass.model.outcome import UNDOING, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.report import Problem
from windlass.model.units import plural


class Undos:
    """The runs into one file that can be undone."""

    def __init__(self, file: File, books: Books) -> None:
        self._file, self._books = file, books

    def foresee(self, run: str) -> Foreseen | None:
        if not self._file.is_there:
            raise unknown(self._file.place, run)
        with self._file.reading(f"reading run {run}") as session:
            found = self._found(session, run)
            if found.state is State.ROLLED_BACK:
                return None
            loads = still_made(found)
            blocked = [
                *self._blocked(session, loads),
                *([self._worked_on(run)] if is_worked_on(self._file.path, run) else []),
            ]
            written = [] if blocked else [
                one for made in loads for one in self._undoing(session, made).changed_by_others()
            ]  # fmt: skip
        return Foreseen(summary(loads), written, blocked)

    def undo(self, run: str, others: Others) -> Undone:
        """Put the rows back, in one transaction if the engine can undo related tables in one,
        otherwise one for each load, the last one first. Then remove what the run added to tables,
        as not every engine can do both in one transaction. After a kill, another command does the
        rest."""
        stayed: list[str] = []
        with self._file.writing(f"undoing run {run}") as session:
            found = self._found(session, run)
            if found.state is State.ROLLED_BACK:
                return Undone(f"run {run} is rolled back already", already=True)
            if is_worked_on(self._file.path, run):
                raise being_worked_on(self._file.place, run)
            loads = still_made(found)
            if blocked := self._blocked(session, loads):
                raise Refused(blocked)
            if others is Others.REFUSE:
                self._refuse_written(session, loads)
            at_once = 1 if self._file.dialect.undoes_singly else len(loads)
            stayed += self._undo_rows(session, run, loads[:at_once], others)
        for one in loads[at_once:]:
            with self._file.writing(f"undoing run {run}") as session:
                if others is Others.REFUSE:
                    self._refuse_written(session, [one])
                stayed += self._undo_rows(session, run, [one], others)
        stayed += self._undo_tables(run, made_by(found))
        return Undone(f"run {run} is rolled back: {done_text(loads)}", tuple(stayed))

    def _found(self, session: Session, run: str) -> LoadRun:
        found = self._books.read(session, run)
        if found is None:
            raise unknown(self._file.place, run)
        return found

    def _worked_on(self, run: str) -> Problem:
        return being_worked_on(self._file.place, run).problems[0]

    def _blocked(self, session: Session, loads: Sequence[Made]) -> list[Problem]:
        described = ((made, self._file.describe(session, made.table)) for made in loads)
        return [one for made, table in described for one in gone(made, table)]

    def _undoing(self, session: Session, made: Made) -> Undoing:
        table = self._file.describe(session, made.table)
        assert table is not None  # `_blocked` has checked this
        return Undoing(session, self._file.dialect, made, table)

    def _undo_rows(
        self, session: Session, run: str, loads: Sequence[Made], others: Others
    ) -> list[str]:
        stayed: list[str] = []
        for made in loads:
            stayed += self._undoing(session, made).undo(others)
            self._books.add_line(session, run, UNDOING, made.load, {})
        return stayed

    def _refuse_written(self, session: Session, loads: Sequence[Made]) -> None:
        """Raises:
        Refused: others have changed rows since.
        """
        written = [
            one for made in loads for one in self._undoing(session, made).changed_by_others()
        ]
        if written:
            raise Refused(written)

    def _undo_tables(self, run: str, loads: Sequence[Made]) -> list[str]:
        stayed: list[str] = []
        for made in loads:
            if made.creates or made.adds:
                stayed += self._undo_table(made)
        with self._file.writing(f"undoing run {run}") as session:
            self._books.set_state(session, run, State.ROLLED_BACK)
        return stayed

    def _undo_table(self, made: Made) -> list[str]:
        """Drop what the load added, if it is empty."""
        table = table_of(made.table)
        stayed = []
        try:
            with self._file.writing(f"dropping what {made.load} added") as session:
                if self._file.describe(session, made.table) is None:
                    return []
                if made.creates:
                    rows = number(session, statement("select count(*) from {t}", t=table))
                    if not rows:
                        session.execute(statement("drop table {t}", t=table))
                        return []
                    return [f"{made.table}: the table stays, as it has {plural(rows, 'row')}"]
                there = self._file.dialect.columns(session, made.table)
                for name in made.adds:
                    if name in there and not self._drop(session, made, name):
                        stayed.append(f"{made.table}: column {name} stays, as it has values")
        except WindlassError as error:
            return [f"{made.table}: what the load added stays: {error}"]
        return stayed

    def _drop(self, session: Session, made: Made, name: str) -> bool:
        parts = {"t": table_of(made.table), "c": names(name)}
        if fetch(session, statement("select 1 from {t} where {c} is not null limit 1", **parts)):
            return False
        session.execute(statement("alter table {t} drop column {c}", **parts))
        return True
