"""PostgreSQL as the target of loads: a `windlass.engines.landing.Landing`.

Runs are in the journal, which is given (`windlass.engines.postgres.landing.books`). What a piece of
work changes commits with its line.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from windlass.engines.base import Facts
from windlass.engines.landing import Input, check_hidden
from windlass.engines.names import name_of
from windlass.engines.postgres.facts import FACTS
from windlass.engines.postgres.landing import applied_runs, leaving
from windlass.engines.postgres.landing.books import Books, Journal
from windlass.engines.postgres.landing.describing import read_table
from windlass.engines.postgres.landing.hold import RunHold
from windlass.engines.postgres.landing.sessions import Sessions
from windlass.engines.postgres.landing.surveying import journal_problems, survey_load
from windlass.engines.postgres.landing.work import LoadWork
from windlass.engines.postgres.session import Address, Connection
from windlass.engines.postgres.transaction import working_on_target
from windlass.engines.postgres.users_sql import read_path
from windlass.errors import WindlassError
from windlass.model.load import Counts, Finding, Load, LoadRun, Staged, Table
from windlass.model.outcome import Outcome, State
from windlass.model.past import Foreseen, Left, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem


class PostgresLanding:
    """Connects when it is first needed. A context manager."""

    def __init__(self, url: str, books: Books) -> None:
        """Raises:
        BadSpec: the URL cannot be understood.
        """
        self._address = Address.parse("target", url)
        self.place = name_of(url) or self._address.place
        self._books = books
        self._sessions = Sessions(self._address)
        self._journals: dict[str, Journal] = {}
        self._lock = threading.Lock()
        self._hold = RunHold(self._sessions)

    @property
    def facts(self) -> Facts:
        return FACTS

    @property
    def default_schema(self) -> str:
        with self._sessions.one("reading the search_path") as connection:
            return next(iter(read_path(connection, "")), "public")

    def table(self, name: str) -> Table | None:
        with self._sessions.one(f"reading {name}") as connection:
            return read_table(connection, name)

    def survey(self, loads: Sequence[Load]) -> Sequence[Problem]:
        found: list[Problem] = []
        with self._sessions.one("checking what is to be loaded") as connection:
            self._books.exists(connection)  # or it is not ours
            found += journal_problems(connection)
            if found:
                return found
            for load in loads:
                found += survey_load(self._sessions, connection, load)
        return found

    # runs

    def runs(self) -> Sequence[LoadRun]:
        with self._sessions.one("reading the journal") as connection:
            return self._books.runs(connection)

    def read(self, run: str) -> LoadRun | None:
        with self._sessions.one("reading the journal") as connection:
            return self._books.read(connection, run)

    def begin(self, run: LoadRun) -> LoadRun:
        with self._sessions.one(f"beginning run {run.run}") as connection:
            self._books.create(connection)
            self._hold.take(run.run)
            if self._books.read(connection, run.run) is None:
                self._books.insert(connection, run, self.place)
            else:
                self._books.take_over(connection, run)
            with self._lock:
                self._journals.pop(run.run, None)
            begun = self._books.read(connection, run.run)
        assert begun is not None
        return begun

    @contextmanager
    def working(self, run: str) -> Iterator[None]:
        with self._hold.sharing(run):
            yield

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        with self._sessions.one(f"ending run {run}") as connection:
            self._journal(connection, run).end(connection, state, outcome)
        self._hold.release(run)

    # the work

    def stage(self, run: str, load: Load, number: int, source: Input) -> Staged:
        check_hidden(load)
        with self._working(run, load, f"staging {source.place}") as work:
            return work.stage(number, source)

    def check(self, run: str, load: Load) -> Sequence[Finding]:
        with self._working(run, load, f"checking {load.name}") as work:
            return work.check()

    def apply(self, run: str, load: Load) -> Counts:
        with self._working(run, load, f"loading {load.name}") as work:
            return work.apply()

    def clean_up(self, run: str, load: Load) -> None:
        with self._working(run, load, f"cleaning up after {load.name}") as work:
            work.clean_up()

    # the way back

    def foresee(self, run: str) -> Foreseen | None:
        with self._sessions.one(f"reading what run {run} loaded") as connection:
            return applied_runs.foresee(connection, self._books, run)

    def undo(self, run: str, others: Others) -> Undone:
        with self._sessions.one(f"rolling back run {run}") as connection:
            found = applied_runs.read(connection, self._books, run)
            if found.state is State.ROLLED_BACK:
                return Undone(f"run {run} was rolled back before", already=True)
            with self._hold.alone(run):
                self._books.take_over(connection, found)
                with self._lock:
                    self._journals.pop(run, None)
                journal = self._journal(connection, run)
                stops = self._sessions.stops
                return applied_runs.undo(connection, self._books, journal, found, others, stops)

    def is_active(self, run: str) -> bool:
        with self._sessions.one("reading the journal") as connection:
            return self._hold.is_taken(connection, run)

    def watermark(self, load: Load) -> str:
        with self._sessions.one("reading the journal") as connection:
            return applied_runs.watermark(connection, self._books, load)

    def left(self, run: str = "") -> Sequence[Left]:
        with self._sessions.one("reading the journal") as connection:
            return leaving.read_left(connection, self._books, run)

    def clean(self, lefts: Sequence[Left]) -> None:
        with self._sessions.one("cleaning up") as connection:
            leaving.clean(connection, self._books, lefts)

    def assets(self, table: Name) -> list[dict[str, str]]:
        return self._address.assets(table)

    def cancel(self) -> None:
        self._sessions.stops.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._hold.leave()
        self._sessions.close()

    # each piece of work

    @contextmanager
    def _working(self, run: str, load: Load, doing: str) -> Iterator[LoadWork]:
        with self._sessions.one(doing, f"windlass load {run}") as connection:
            journal = self._journal(connection, run)
            yield LoadWork(connection, self._sessions, self._books, journal, run, load)

    def _journal(self, connection: Connection, run: str) -> Journal:
        with self._lock:
            if run not in self._journals:
                if self._books.read(connection, run) is None:
                    raise WindlassError(f"run {run} is not in the journal of {self.place}")
                self._journals[run] = self._books.open(connection, run, working_on_target)
            return self._journals[run]
