"""One run's journal in one process: its lines in memory, and the only way to add lines.

Every piece of work and its line commit in one transaction, which first checks that the run still
belongs to this process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

import psycopg
from psycopg import Connection

from windlass.errors import AlreadyDone, RunLost
from windlass.journal import records
from windlass.journal.records import Line, Lines
from windlass.model.flow import Result
from windlass.model.outcome import Outcome, State

Session = Connection[Any]
Row = Sequence[Any]


class Transaction(Protocol):
    """An open transaction: the first row of each statement sent with BEGIN, and the statements to
    run with COMMIT."""

    @property
    def answers(self) -> Sequence[Row | None]: ...

    @property
    def last(self) -> list[str]: ...


class Begin(Protocol):
    """How the engine begins a transaction for a piece of work, which its errors name by `doing`.
    These errors are ours, not the driver's. The `first` statements run with BEGIN."""

    def __call__(
        self, connection: Session, doing: str, *first: str
    ) -> AbstractContextManager[Transaction]: ...


class Journal:
    """A run's finished work, as far as this process knows; shared by threads."""

    def __init__(self, run: str, begin: Begin, epoch: int = 1) -> None:
        self.run, self.epoch = run, epoch
        self._begin = begin
        self._lines = records.by_step(())
        self._lock = threading.Lock()

    # what is finished

    def __contains__(self, work: tuple[str, str]) -> bool:
        step, item = work
        return item in self.lines(step)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[Line]:
        with self._lock:
            return iter([line for lines in self._lines.values() for line in lines.values()])

    def lines(self, step: str) -> Mapping[str, Line]:
        """A step's finished items."""
        return self._lines.get(step) or {}

    @property
    def by_step(self) -> Lines:
        """All lines, by step and item."""
        return self._lines

    def note(self, step: str, item: str = "") -> Result:
        """What a piece of work has returned; empty if it is not done."""
        return records.note_of(self._lines, step, item)

    def lacking(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Items that are required but not finished, by step; complete steps are left out."""
        found = {
            step: [item for item in items if item not in self.lines(step)]
            for step, items in wanted.items()
        }
        return {step: items for step, items in found.items() if items}

    def read(self, connection: Session) -> None:
        """Replace the lines in memory by the target's."""
        found = records.by_step(records.read_lines(connection, self.run))
        with self._lock:
            self._lines = found

    def read_again(self, connection: Session, step: str, items: list[str]) -> None:
        """Read again which of some items are committed: the answer to a commit may have been
        lost."""
        doing = f"reading the journal of {step} {', '.join(items[:1])}"
        with self._begin(connection, doing, self.fence) as transaction:
            self.check_epoch(transaction.answers[0])
            self.keep(records.read_lines_of(connection, self.run, step, items))

    def keep(self, lines: Iterable[Line]) -> None:
        """Add committed lines, of any session."""
        with self._lock:
            for line in lines:
                self._lines[line.step][line.item] = line

    def forget(self, connection: Session, steps: Iterable[str], items: Collection[str]) -> None:
        """Delete the lines of items whose work the caller's transaction undoes."""
        for step in steps:
            records.delete_lines(connection, self.run, step, list(items))
            with self._lock:
                for item in items:
                    self._lines[step].pop(item, None)

    # what is added

    def once(
        self,
        connection: Session,
        step: str,
        item: str,
        work: Callable[[Session], Result],
        *,
        like: Line | None = None,
        first: Sequence[str] = (),
    ) -> Result:
        """Do a piece of work and journal it, in one transaction; do nothing if it is already done.
        What it returns is kept as the line's note.

        `like` has the line's other fields; `first` runs at the very beginning of the transaction.

        Raises:
            RunLost: another process has taken the run over.
        """
        if (step, item) in self:
            return self.note(step, item)
        started = time.perf_counter()
        # the line first, so that it waits for an earlier commit of the same work that is still in
        # progress
        line = replace(like or Line("", ""), step=step, item=item)
        opening = (*first, self.fence, records.line_statement(self.run, line))
        doing = f"{step} {item}".strip()
        try:
            with self._begin(connection, doing, *opening) as transaction:
                self.check_epoch(transaction.answers[len(first)])
                result = work(connection)
                seconds = time.perf_counter() - started
                line = replace(line, seconds=seconds, note=dict(result) or None)
                transaction.last.append(records.note_statement(self.run, line))
        except AlreadyDone:
            self.read_again(connection, step, [item])
            if (step, item) not in self:
                raise
            return self.note(step, item)
        self.keep([line])
        return line.note or {}

    def fenced(self, connection: Session, step: str, work: Callable[[Session], None]) -> None:
        """Do work that may be repeated, in a separate transaction, as long as the run is ours.

        Raises:
            RunLost: another process has taken it over.
        """
        with self._begin(connection, step, self.fence) as transaction:
            self.check_epoch(transaction.answers[0])
            work(connection)

    def end(self, connection: Session, state: State, outcome: Outcome) -> None:
        """Journal how the run ended, on disk.

        Raises:
            RunLost: another process has taken the run over.
        """
        try:
            with connection.transaction():
                self.check_epoch(connection.execute(self.fence.encode()).fetchone())
                records.set_state(connection, self.run, state, outcome)
        except psycopg.Error as error:
            raise RunLost(f"the end of run {self.run} could not be journalled") from error

    # which process owns the run

    @property
    def fence(self) -> str:
        """Run first in every transaction that journals; `check_epoch` checks its result."""
        return records.fence_statement(self.run)

    def check_epoch(self, row: Row | None) -> None:
        """Raises:
        RunLost: another process has taken the run over, or undone it.
        """
        if row is None or row[0] != self.epoch:
            raise self._taken_over()

    @property
    def hold_statement(self) -> str:
        """`fence` for a COPY session; `check_held` checks its tag."""
        return records.hold_statement(self.run, self.epoch)

    def check_held(self, tag: str) -> None:
        """Raises:
        RunLost: another process has taken the run over, or undone it.
        """
        if tag != records.HELD:
            raise self._taken_over()

    def _taken_over(self) -> RunLost:
        return RunLost(f"run {self.run} has been taken over by another process")
