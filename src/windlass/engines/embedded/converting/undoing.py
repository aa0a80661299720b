"""Undoes a migration into a file: removes the file that it made, or what it added to one, if nobody
has changed that since."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.engines.embedded.converting.file import TargetFile
from windlass.engines.embedded.working import being_worked_on
from windlass.model.conversion import ConversionPlan, TableConversion
from windlass.model.outcome import UNFINISHED, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.translation import Digest
from windlass.model.units import plural
from windlass.model.wording import word

COUNTED = "validate_content"  # its lines have the rows and digests of the target
MAKING = "create_target_tables"  # the step that sets things aside, in the same transaction


@dataclass(frozen=True, slots=True)
class Definitions:
    """Definitions by object name: those in a file, and those that a run's plan makes."""

    there: Mapping[str, str | None]
    planned: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """How an engine reads a target and drops what a run has made."""

    definitions: Callable[[ConversionPlan], Definitions]
    digest: Callable[[TableConversion], Digest]
    count: Callable[[TableConversion], int]
    name: Callable[[Name], str]  # of a table, as the definitions have it
    drops: Callable[[ConversionPlan], Iterator[str]]  # the statements
    put_back: Callable[[Any, ConversionPlan], None]  # what the run has set aside, in a transaction
    kept: Callable[[ConversionPlan], Sequence[str]]  # of that, what is there


class Undoing:
    """Undoes one run."""

    def __init__(self, file: TargetFile, run: str, plan: ConversionPlan, how: Reading) -> None:
        self._file, self._run, self._plan, self._how = file, run, plan, how

    @property
    def _is_whole(self) -> bool:
        """Whether the run made the file."""
        return self._plan.is_new

    def foresee(self) -> Foreseen:
        blocked: list[Problem] = []
        if self._file.is_active(self._run):
            blocked += being_worked_on(self._file.place, self._run).problems
        else:
            blocked += self._in_the_way()
        return Foreseen(self._summary, [] if blocked else list(self._written()), blocked)

    @property
    def _summary(self) -> str:
        tables = plural(len(self._plan.tables), "table")
        back = f" and puts back {self._restored}" if self._is_set_aside else ""
        if self._is_whole:
            return f"removes {self._file.now}, with {tables}{back}"
        return f"drops {tables} from {self._file.path}{back}"

    @property
    def _is_set_aside(self) -> bool:
        """Whether the run has got as far as setting things aside."""
        found = self._file.read(self._run)
        has_begun = found is not None and MAKING in found.lines
        return bool(self._plan.set_aside) and has_begun and not self._file.is_building

    @property
    def _restored(self) -> str:
        found = [one for one in self._plan.set_aside if one.kind != "trigger"]
        return found[0].name if self._is_whole else plural(len(found), "object")

    def _in_the_way(self) -> Iterator[Problem]:
        """What prevents that everything is put back."""
        if not self._is_set_aside:
            return
        kept = self._how.kept(self._plan)
        for one in self._plan.set_aside:
            if one.aside and one.aside not in kept:
                message = f"was set aside as {one.aside}, which is gone"
                yield Problem(one.name, message, "put it there again")
        if self._is_whole:
            return
        definitions = self._how.definitions(self._plan)
        there = {name.lower() for name in definitions.there}
        ours = {name.lower() for name in definitions.planned}
        for one in self._plan.set_aside:
            if one.name.lower() in there - ours:
                message = "exists, and is not of the run: what had this name is not put back"
                yield Problem(one.name, message, "rename or drop it")

    def undo(self, others: Others) -> Undone:
        """Raises:
        Refused: a process works on it, or others have changed it since.
        """
        with self._file.working(self._run):
            written = Foreseen(self._summary, list(self._written()), list(self._in_the_way()))
            written.refuse(force=others is Others.LOSE)
            done = self._done
            if self._is_whole:
                self._file.remove(self._run)
            else:
                self._drop()
        return Undone(f"run {self._run} is rolled back: {done}")

    @property
    def _done(self) -> str:
        tables = plural(len(self._plan.tables), "table")
        back = f", {self._restored} put back" if self._is_set_aside else ""
        if self._is_whole:
            return f"the file is removed, with {tables}{back}"
        return f"{tables} dropped{back}"

    # what others have done

    def _written(self) -> Iterator[Problem]:
        found = self._file.read(self._run)
        if found is None or found.state in UNFINISHED:
            return  # nobody could take the file for finished
        noted: Mapping[str, Any] = found.lines.get(COUNTED, {})
        definitions = self._how.definitions(self._plan)
        yield from self._others(definitions)
        for table in self._plan.tables:
            name = self._how.name(table.target)
            if name not in definitions.there:
                yield self._lost(table, "is gone")
            elif definitions.there[name] != definitions.planned[name]:
                yield self._lost(table, "has another definition now")
            elif why := self._changed(table, noted.get(str(table.source), {})):
                yield self._lost(table, why)

    def _changed(self, table: TableConversion, note: Mapping[str, Any]) -> str:
        digest = note.get("digest")
        if digest is not None:
            return "" if self._how.digest(table) == Digest(**digest) else "has other rows now"
        rows = self._how.count(table)
        if "rows" in note and rows != note["rows"]:
            return f"has {rows:,} rows now, and had {note['rows']:,}"
        return ""

    def _lost(self, table: TableConversion, message: str) -> Problem:
        return Problem(str(table.target), f"{message}: others have changed it since", _anyway())

    def _others(self, definitions: Definitions) -> Iterator[Problem]:
        """What belongs to others, and would be removed with the file or stop working."""
        tables = [one.target.name for one in self._plan.tables]
        for name, text in definitions.there.items():
            if name in definitions.planned:
                continue
            uses = text is not None and any(_names(text, one) for one in tables)
            if self._is_whole or uses:
                what = "would be removed as well" if self._is_whole else "uses a table of the run"
                yield Problem(name, f"was made by others, and {what}", _anyway())
        if self._is_whole:
            for load in self._file.loads():
                yield Problem(f"run {load.run}", "has loaded into the file since", _anyway())

    def _drop(self) -> None:
        puts_back = self._is_set_aside
        with self._file.writing(f"undoing run {self._run}") as session:
            for text in self._how.drops(self._plan):
                session.execute(text)
            if puts_back:
                self._how.put_back(session, self._plan)
            self._file.set_state(session, self._run, State.ROLLED_BACK)


def _anyway() -> str:
    return f"{word('force')} undoes it anyway"


def _names(text: str, table: str) -> bool:
    """Whether a definition may use the table: a word or a quoted name."""
    return re.search(rf"(?<!\w){re.escape(table)}(?!\w)", text, re.IGNORECASE) is not None
