"""The file that a migration writes: a new one beside its place until it is complete, or one that is
in use. Its runs and their lines are in the tables of loads' books."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from windlass.engines.destination import Note, Session, is_conversion
from windlass.engines.embedded.books import Books
from windlass.engines.embedded.working import is_worked_on, working
from windlass.engines.paths import cannot_make
from windlass.engines.sqlite.landing.file import DIALECT
from windlass.engines.sqlite.landing.session import Opener
from windlass.errors import WindlassError
from windlass.model.conversion import Standing
from windlass.model.load import LoadRun
from windlass.model.outcome import UNFINISHED, Outcome, State
from windlass.model.report import Problem

_ALONE = "conversion"  # what is locked beside the file: one migration at a time
_CACHE_KB = 32 << 10
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class TargetFile:
    """Each call opens what it needs; one thread writes at a time."""

    def __init__(self, path: str) -> None:
        self.path, self.place = Path(path), f"SQLite {path}"
        self.building = Path(f"{path}-windlass-building")
        self._books = Books(DIALECT, "main")
        self._openers = {one: Opener(str(one)) for one in (self.path, self.building)}
        self._writing = RLock()

    @property
    def is_building(self) -> bool:
        return self.building.exists()

    @property
    def now(self) -> Path:
        """Where the run's tables are."""
        return self.building if self.is_building else self.path

    def standing(self) -> Standing:
        """Raises:
        WindlassError: it is no SQLite file, or cannot be read.
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
            (encoding,) = session.execute("pragma encoding").fetchone()
            names = [one for (one,) in session.execute("select name from sqlite_schema")]
        if encoding != "UTF-8":
            problems.append(
                Problem("target", f"{self.path} keeps texts in {encoding}, not in UTF-8")
            )
        is_new = self.is_building
        return Standing(is_new, frozenset(one.lower() for one in names), tuple(problems))

    # sessions

    @contextmanager
    def reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._openers[self.now].session(doing) as session:
            yield session

    @contextmanager
    def writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """A transaction. Foreign keys are not enforced in it: they are checked as a whole."""
        with self._writing, self._openers[self.now].session(doing, writes=True) as session:
            session.execute(f"pragma cache_size = -{_CACHE_KB}")
            if self.is_building:
                # nobody else reads it, and it is flushed before it is put in place; a kill loses
                # nothing, as the system keeps what was written, and a crash of that is noticed
                session.execute("pragma journal_mode = truncate")
                session.execute("pragma synchronous = off")
            session.execute("begin immediate")
            try:
                yield session
                session.execute("commit")
            except BaseException:
                if session.in_transaction:
                    session.rollback()
                raise

    # runs

    def runs(self) -> list[LoadRun]:
        found = []
        for path in (self.building, self.path):
            if path.exists():
                with self._openers[path].session("reading its runs") as session:
                    found += [one for one in self._books.runs(session) if is_conversion(one)]
        return sorted(found, key=lambda one: (one.started_at, one.run), reverse=True)

    def read(self, run: str) -> LoadRun | None:
        for path in (self.building, self.path):
            if path.exists():
                with self._openers[path].session(f"reading run {run}") as session:
                    found = self._books.read(session, run)
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
            self.building.touch(0o644, exist_ok=True)
            self._note_boot()
        with self.writing(f"beginning run {run.run}") as session:
            self._books.create(session)
            found = self._books.read(session, run.run)
            if found is None:
                self._books.insert(session, run)
            elif found.state in UNFINISHED:
                self._books.set_state(session, run.run, State.RUNNING)
            begun = self._books.read(session, run.run)
            assert begun is not None
            return begun

    def _note_boot(self) -> None:
        """In the header of the file, which is the application's."""
        with self.writing("making the file") as session:
            session.execute(f"pragma user_version = {_boot()}")

    @property
    def is_doubtful(self) -> bool:
        """Whether the machine has started since: what was not flushed may be gone."""
        if not self.is_building:
            return False
        try:
            with self.reading("looking at the unfinished file") as session:
                (noted,) = session.execute("pragma user_version").fetchone()
        except WindlassError:
            return True
        return bool(noted != _boot())

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        doing = f"{step.replace('_', ' ')} {item}".strip()
        with self.writing(doing) as session:
            noted = self._books.note(session, run, step, item)
            if noted is not None:
                return noted
            note = work(session)
            self._books.add_line(session, run, step, item, note)
            return note

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        with self.writing(f"ending run {run}") as session:
            self._books.set_state(session, run, state, outcome)
        if state not in UNFINISHED and self.is_building:
            self.place_it()

    def settle(self) -> LoadRun | None:
        """Put a complete file in place, where a kill came before that."""
        if is_worked_on(str(self.path), _ALONE) or not self.is_building:
            return None
        runs = self.runs()
        if not runs or runs[0].state in UNFINISHED:
            return None
        with self.working(runs[0].run):
            self.place_it()
        return runs[0]

    def place_it(self) -> None:
        """Flush the new file, and give it its name, which nobody else may have taken.

        Raises:
            WindlassError: there is a file of that name now.
        """
        with self._openers[self.building].session("ending the file", writes=True) as session:
            session.execute("pragma user_version = 0")
            session.execute("pragma journal_mode = delete")
        _flush(self.building)
        try:
            os.link(self.building, self.path)
        except FileExistsError:
            if not self.path.samefile(self.building):  # a kill came after the name was given
                raise WindlassError(
                    f"{self.path} has appeared while the run worked: the new file stays"
                    f" {self.building}",
                    hint="move the other file away; then run the same command again",
                ) from None
        except OSError:  # a file system without links
            if self.path.exists():
                raise
            self.building.rename(self.path)
        self.building.unlink(missing_ok=True)
        _flush(self.path.parent)

    def set_state(self, session: Any, run: str, state: State) -> None:
        self._books.set_state(session, run, state)

    def loads(self) -> list[LoadRun]:
        """Runs of loads into it: a migration has none."""
        with self.reading("reading its runs") as session:
            return [one for one in self._books.runs(session) if not is_conversion(one)]

    def cancel(self) -> None:
        for one in self._openers.values():
            one.stops.cancel()


def _boot() -> int:
    """A number of the machine's start; 0 if that is not known."""
    with suppress(OSError):
        return int(_BOOT.read_text().replace("-", "")[:7], 16)
    return 0


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
