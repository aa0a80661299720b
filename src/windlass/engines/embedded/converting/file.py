"""The file that a migration writes: a new one, which is beside its final path until it is complete,
or an existing one that is in use. Its runs and their lines are in the tables of loads' books."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from windlass.engines.destination import Note, Session, is_conversion
from windlass.engines.embedded.books import Books
from windlass.engines.embedded.dialect import Dialect
from windlass.engines.embedded.working import is_worked_on, working
from windlass.engines.paths import cannot_make
from windlass.errors import WindlassError
from windlass.model.conversion import Standing
from windlass.model.load import LoadRun
from windlass.model.outcome import UNFINISHED, Outcome, State
from windlass.model.report import Problem

_ALONE = "conversion"  # what is locked beside the file: one migration at a time


class TargetFile(ABC):
    """Each call opens what it needs; one thread writes at a time."""

    def __init__(self, path: str, engine: str, dialect: Dialect) -> None:
        self.path, self.place = Path(path), f"{engine} {path}"
        self.building = Path(f"{path}-windlass-building")
        self._dialect = dialect
        self._books: dict[tuple[Path, int], Books] = {}  # by file, as one may replace another
        self._writing = RLock()

    # what an engine brings

    @abstractmethod
    def session(self, path: Path, doing: str) -> AbstractContextManager[Any]: ...

    @abstractmethod
    def transaction(self, path: Path, doing: str) -> AbstractContextManager[Any]:
        """An error rolls it back."""

    @abstractmethod
    def found(self, session: Any) -> tuple[frozenset[str], list[Problem]]:
        """The names that the file has, and what is wrong with it."""

    @property
    def is_doubtful(self) -> bool:
        """See `windlass.engines.destination.Destination`."""
        return False

    @abstractmethod
    def make(self) -> None:
        """Start a new file."""

    @abstractmethod
    def complete(self) -> None:
        """Bring all of the new file into the file itself, and close it."""

    @abstractmethod
    def cancel(self) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""

    tails: tuple[str, ...] = ()  # of files that the engine keeps beside it

    # where it is

    @property
    def is_building(self) -> bool:
        return self.building.exists()

    @property
    def now(self) -> Path:
        """Where the run's tables are."""
        return self.building if self.is_building else self.path

    def standing(self) -> Standing:
        """Raises:
        WindlassError: it is not a file of the engine, or cannot be read.
        """
        problems = []
        if self.is_building and self.path.exists():
            hint = f"move it away, or end the run that makes it: the new file is {self.building}"
            problems.append(
                Problem("target", f"{self.path} has appeared since the run began", hint)
            )
        if self.path.exists() and not self.path.is_file():
            problems.append(Problem("target", f"{self.path} is no file"))
            return Standing(False, frozenset(), tuple(problems))
        if not self.path.parent.is_dir():
            hint = "make it first; the path of a URL begins at the root"
            problems.append(Problem("target", f"there is no folder {self.path.parent}", hint))
            return Standing(True, frozenset(), tuple(problems))
        if not self.path.exists() and (why := cannot_make(self.path)):
            problems.append(Problem("target", f"{self.path} cannot be made: {why}"))
        if not self.now.exists():
            return Standing(True, frozenset(), tuple(problems))
        with self.reading("reading its tables") as session:
            names, faults = self.found(session)
        return Standing(self.is_building, names, (*problems, *faults))

    # sessions

    @contextmanager
    def reading(self, doing: str) -> Iterator[Any]:
        with self.session(self.now, doing) as session:
            yield session

    @contextmanager
    def writing(self, doing: str) -> Iterator[Any]:
        """A transaction."""
        with self._writing, self.transaction(self.now, doing) as session:
            yield session

    # runs

    def _books_of(self, path: Path) -> Books:
        """Of an open file."""
        key = path, path.stat().st_ino
        return self._books.setdefault(key, Books(self._dialect, "main"))

    @property
    def _journal(self) -> Books:
        return self._books_of(self.now)

    def runs(self) -> list[LoadRun]:
        found = []
        for path in (self.building, self.path):
            if path.exists():
                with self.session(path, "reading its runs") as session:
                    runs = self._books_of(path).runs(session)
                    found += [one for one in runs if is_conversion(one)]
        return sorted(found, key=lambda one: (one.started_at, one.run), reverse=True)

    def read(self, run: str) -> LoadRun | None:
        for path in (self.building, self.path):
            if path.exists():
                with self.session(path, f"reading run {run}") as session:
                    found = self._books_of(path).read(session, run)
                if found is not None and is_conversion(found):
                    return found
        return None

    def is_active(self, run: str) -> bool:
        found = self.read(run)
        is_unfinished = found is not None and found.state is State.RUNNING
        return is_unfinished and is_worked_on(str(self.path), _ALONE)

    @contextmanager
    def working(self, run: str) -> Iterator[None]:
        with working(f"{self.place}, run {run}", str(self.path), _ALONE):
            yield

    def begin(self, run: LoadRun, *, is_new: bool) -> LoadRun:
        if is_new and not self.is_building:
            self._books.clear()  # those of the earlier file are gone
            self.make()
        with self.writing(f"beginning run {run.run}") as session:
            self._journal.create(session)
            found = self._journal.read(session, run.run)
            if found is None:
                self._journal.insert(session, run)
            elif found.state in UNFINISHED:
                self._journal.set_state(session, run.run, State.RUNNING)
            begun = self._journal.read(session, run.run)
            assert begun is not None
            return begun

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        doing = f"{step.replace('_', ' ')} {item}".strip()
        with self.writing(doing) as session:
            noted = self._journal.note(session, run, step, item)
            if noted is not None:
                return noted
            note = work(session)
            self._journal.add_line(session, run, step, item, note)
            return note

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        with self.writing(f"ending run {run}") as session:
            self._journal.set_state(session, run, state, outcome)
        if state not in UNFINISHED and self.is_building:
            self.place_it(run)

    def settle(self) -> LoadRun | None:
        """Put a complete file in place, if a kill came before that."""
        if is_worked_on(str(self.path), _ALONE) or not self.is_building:
            return None
        runs = self.runs()
        if not runs or runs[0].state in UNFINISHED:
            return None
        with self.working(runs[0].run):
            self.place_it(runs[0].run)
        return runs[0]

    def place_it(self, run: str) -> None:
        """Flush the new file, and give it its name, unless that has been taken.

        Raises:
            WindlassError: there is a file of that name now.
        """
        self.complete()
        flush(self.building)
        try:
            os.link(self.building, self.path)
        except FileExistsError:
            if not self.path.samefile(self.building):  # killed after it got its name
                raise WindlassError(
                    f"{self.path} has appeared while the run worked: the new file stays"
                    f" {self.building}",
                    hint="move the other file away; then run the same command again",
                ) from None
        except OSError:  # a file system without hard links
            if self.path.exists():
                raise
            self.building.rename(self.path)
        self.building.unlink(missing_ok=True)
        flush(self.path.parent)

    def remove(self, run: str) -> None:
        """Remove the whole file of a run, which nobody else is writing. Programs that have it open
        can still read it."""
        path = self.now
        with self.writing("removing the file") as session:
            self.found(session)
            path.unlink()
        self.close()
        for tail in self.tails:
            Path(f"{path}{tail}").unlink(missing_ok=True)

    def forget(self, session: Any, run: str) -> None:
        self._journal.forget(session, run)

    def set_state(self, session: Any, run: str, state: State) -> None:
        self._journal.set_state(session, run, state)

    def loads(self) -> list[LoadRun]:
        """Runs of loads into it: a migration has none."""
        with self.reading("reading its runs") as session:
            return [one for one in self._journal.runs(session) if not is_conversion(one)]


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
