"""Undoes a migration into an SQLite file: removes the file that it made, or what it added to one,
if nobody has changed that since."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from windlass.engines.embedded.working import being_worked_on
from windlass.engines.sqlite.destination.file import TargetFile
from windlass.engines.statements import names, statement
from windlass.model.conversion import ConversionPlan, TableConversion
from windlass.model.outcome import UNFINISHED, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.report import Problem
from windlass.model.translation import Digest
from windlass.model.units import plural
from windlass.model.wording import word

COUNTED = "validate_content"  # its lines have the rows and digests of the target


class Undoing:
    """Of one run."""

    def __init__(
        self,
        file: TargetFile,
        run: str,
        plan: ConversionPlan,
        digest: Callable[[TableConversion], Digest],
    ) -> None:
        self._file, self._run, self._plan, self._digest = file, run, plan, digest

    @property
    def _is_whole(self) -> bool:
        """Whether the run made the file."""
        return self._plan.is_new

    def foresee(self) -> Foreseen:
        blocked: list[Problem] = []
        if self._file.is_active(self._run):
            blocked += being_worked_on(self._file.place, self._run).problems
        return Foreseen(self._summary, [] if blocked else list(self._written()), blocked)

    @property
    def _summary(self) -> str:
        tables = plural(len(self._plan.tables), "table")
        if self._is_whole:
            return f"removes {self._file.now}, with {tables}"
        return f"drops {tables} from {self._file.path}"

    def undo(self, others: Others) -> Undone:
        """Raises:
        Refused: a process works on it, or others have changed it since.
        """
        with self._file.working(self._run):
            written = Foreseen(self._summary, list(self._written()))
            written.refuse(force=others is Others.LOSE)
            if self._is_whole:
                self._remove()
            else:
                self._drop()
        return Undone(f"run {self._run} is rolled back: {self._done}")

    @property
    def _done(self) -> str:
        tables = plural(len(self._plan.tables), "table")
        if self._is_whole:
            return f"the file is removed, with {tables}"
        return f"{tables} dropped"

    # what others have done

    def _written(self) -> Iterator[Problem]:
        found = self._file.read(self._run)
        if found is None or found.state in UNFINISHED:
            return  # nobody could take it for finished
        noted: Mapping[str, Any] = found.lines.get(COUNTED, {})
        with self._file.reading("looking for changes") as session:
            there = dict(session.execute("select name, sql from sqlite_schema").fetchall())
        yield from self._others(there)
        for table in self._plan.tables:
            if table.target.name not in there:
                yield self._lost(table, "is gone")
            elif there[table.target.name] != self._kept(table.create):
                yield self._lost(table, "has another definition now")
            elif why := self._changed(table, noted.get(str(table.source), {})):
                yield self._lost(table, why)

    @staticmethod
    def _kept(create: str) -> str:
        """As SQLite keeps it."""
        return re.sub(r"^create table", "CREATE TABLE", create)

    def _changed(self, table: TableConversion, note: Mapping[str, Any]) -> str:
        digest = note.get("digest")
        if digest is not None:
            return "" if self._digest(table) == Digest(**digest) else "has other rows now"
        query = statement("select count(*) from {t}", t=names(table.target.name))
        with self._file.reading("counting rows") as session:
            (rows,) = session.execute(query).fetchone()
        if "rows" in note and rows != note["rows"]:
            return f"has {rows:,} rows now, and had {note['rows']:,}"
        return ""

    def _lost(self, table: TableConversion, message: str) -> Problem:
        return Problem(str(table.target), f"{message}: others have changed it since", _anyway())

    def _others(self, there: Mapping[str, str | None]) -> Iterator[Problem]:
        """What is not ours, and goes with the file or stops working."""
        ours = {one.target.name for one in self._plan.tables}
        made = ours | {one.target.name for one in self._plan.views}
        made |= {one.name for table in self._plan.tables for one in table.indexes}
        for name, text in there.items():
            if name in made or name.startswith(("sqlite_", "_windlass_")):
                continue
            uses = text is not None and any(_names(text, one) for one in ours)
            if self._is_whole or uses:
                what = "would be removed as well" if self._is_whole else "uses a table of the run"
                yield Problem(name, f"was made by others, and {what}", _anyway())
        if self._is_whole:
            for load in self._file.loads():
                yield Problem(f"run {load.run}", "has loaded into the file since", _anyway())

    # doing it

    def _remove(self) -> None:
        path = self._file.now
        with self._file.writing("removing the file") as session:
            # nobody else is writing; who reads it keeps what is read
            session.execute("select count(*) from sqlite_schema").fetchone()
            path.unlink()
        for tail in ("-journal", "-wal", "-shm"):
            Path(f"{path}{tail}").unlink(missing_ok=True)

    def _drop(self) -> None:
        with self._file.writing(f"undoing run {self._run}") as session:
            for view in reversed(self._plan.views):
                session.execute(statement("drop view if exists {v}", v=names(view.target.name)))
            for table in reversed(self._plan.tables):
                self._drop_table(session, table)
            self._file.set_state(session, self._run, State.ROLLED_BACK)

    @staticmethod
    def _drop_table(session: sqlite3.Connection, table: TableConversion) -> None:
        session.execute(statement("drop table if exists {t}", t=names(table.target.name)))


def _anyway() -> str:
    return f"{word('force')} undoes it anyway"


def _names(text: str, table: str) -> bool:
    """Whether a definition may use the table: a word or a quoted name."""
    return re.search(rf"(?<!\w){re.escape(table)}(?!\w)", text, re.IGNORECASE) is not None
