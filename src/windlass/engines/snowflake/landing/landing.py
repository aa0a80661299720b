"""Tables of Snowflake that are loaded: see `windlass.engines.landing.Landing`.

What defines tables commits by itself in Snowflake, so it comes before the transaction in which rows
and journal line commit together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import quote

from windlass.engines.incoming.names import name_of
from windlass.engines.incoming.past import Made, last_watermark, line_of
from windlass.engines.incoming.refusing import BadRow, Refusing
from windlass.engines.incoming.shape import lasting_key
from windlass.engines.kept import Kept
from windlass.engines.landing import APPLIED, STAGED, Input, check_hidden, not_staged, staged_item
from windlass.engines.snowflake.address import Address
from windlass.engines.snowflake.facts import FACTS
from windlass.engines.snowflake.landing.books import BEAT_SECONDS, Books, being_worked_on
from windlass.engines.snowflake.landing.catalog import defaults_of, read_table
from windlass.engines.snowflake.landing.changing import Changing, make_undo
from windlass.engines.snowflake.landing.checking import SnowflakeChecking
from windlass.engines.snowflake.landing.creating import make_table
from windlass.engines.snowflake.landing.marks import highest
from windlass.engines.snowflake.landing.past import Undos
from windlass.engines.snowflake.landing.staged import (
    Arriving,
    make_staged,
    staged_table,
    undo_table,
)
from windlass.engines.snowflake.landing.staging import Filling
from windlass.engines.snowflake.landing.surveying import SnowflakeSurvey
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import statement
from windlass.engines.stopping import Stops
from windlass.errors import CannotResume, Refused, WindlassError
from windlass.model.load import Counts, Finding, Load, LoadRun, Staged, Table
from windlass.model.outcome import UNFINISHED, Outcome, State
from windlass.model.past import Foreseen, Left, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem


class SnowflakeLanding:
    """Tables in one schema of a database of Snowflake."""

    facts = FACTS

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL is no database of Snowflake.
        """
        self._address = Address.parse(url, "", what="target")
        self.place = self._address.place
        self._stops = Stops()
        self._sessions: Kept[Session] = Kept(Session.close)
        self._undos = Undos(self.place, self._address.schema, self._session)

    @property
    def default_schema(self) -> str:
        return self._address.schema

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._sessions.close()

    def cancel(self) -> None:
        self._stops.cancel()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A session with no open transaction, which stays open for the next call."""
        with (
            self._sessions.one(lambda: Session(self._address)) as session,
            self._stops.during(session.close),
        ):
            yield session

    def _books(self, session: Session) -> Books:
        return Books(session, self._address.schema)

    def table(self, name: str) -> Table | None:
        with self._session() as session:
            return read_table(session, name_of(name, self._address.schema))

    def survey(self, loads: Sequence[Load]) -> Sequence[Problem]:
        try:
            with self._session() as session:
                return [one for load in loads for one in SnowflakeSurvey(session, load).problems()]
        except WindlassError as error:
            if error.retryable:
                raise
            return [Problem(self.place, str(error), error.hint)]

    # runs

    def runs(self) -> Sequence[LoadRun]:
        with self._session() as session:
            books = self._books(session)
            return books.runs() if books.are_there else []

    def read(self, run: str) -> LoadRun | None:
        with self._session() as session:
            books = self._books(session)
            return books.read(run) if books.are_there else None

    def begin(self, run: LoadRun) -> LoadRun:
        """A run that is finished is returned as it is."""
        with self._session() as session:
            books = self._books(session)
            books.make()
            with session.transaction():
                books.lock()
                found = books.read(run.run)
                if found is None:
                    books.insert(run)
                elif found.state in UNFINISHED:
                    if other := books.worker(run.run):
                        raise being_worked_on(self.place, run.run, other)
                    books.set_state(run.run, State.RUNNING)
            begun = books.read(run.run)
            assert begun is not None
            return begun

    @contextmanager
    def working(self, run: str) -> Iterator[None]:
        """A thread renews this process's sign. If it dies, the sign soon counts as old."""
        with self._session() as session:
            books = self._books(session)
            books.make()
            with session.transaction():
                sign = books.check_in(run)
        over = Event()
        beating = Thread(target=self._beat, args=(sign, over), daemon=True, name="windlass-beat")
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()
            with suppress(WindlassError), self._session() as session:
                self._books(session).check_out(sign)

    def _beat(self, sign: str, over: Event) -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(WindlassError), self._session() as session:
                self._books(session).beat(sign)

    def is_active(self, run: str) -> bool:
        with self._session() as session:
            books = self._books(session)
            return bool(books.are_there and books.worker(run, with_own=True))

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        with self._session() as session, session.transaction():
            self._books(session).set_state(run, state, outcome)

    # the work

    def stage(self, run: str, load: Load, number: int, source: Input) -> Staged:
        check_hidden(load)
        item = staged_item(load.name, number)
        with self._session() as session:
            books = self._books(session)
            if (noted := books.note(run, STAGED, item)) is not None:
                return Staged(noted["rows"], noted["refused"])
            session.run(make_staged(run, load), doing=f"staging {source.place}")
            before, kept = _refused_before(books, run, load), list[BadRow]()
            refusing = Refusing(load, source, lambda: before, kept.append)
            filling = Filling(session, run, load, number, source, self._stops, refusing)
            filling.upload()
            with session.transaction():
                staged = filling.copy()
                books.lock()
                if (noted := books.note(run, STAGED, item)) is not None:
                    session.rollback()
                    return Staged(noted["rows"], noted["refused"])
                books.keep_refused(run, load.name, source.place, kept)
                note = {"rows": staged.rows, "refused": staged.refused, "input": source.place}
                books.add_line(run, STAGED, item, note)
            filling.leave()
            return staged

    def check(self, run: str, load: Load) -> Sequence[Finding]:
        with self._session() as session:
            books = self._books(session)
            if books.note(run, APPLIED, load.name) is not None:
                return []
            arriving, _, places = self._arriving(session, books, run, load)
            checking = SnowflakeChecking(load, places, session, arriving)
            return [one.finding for one in checking.broken()]

    def apply(self, run: str, load: Load) -> Counts:
        with self._session() as session:
            books = self._books(session)
            if (noted := books.note(run, APPLIED, load.name)) is not None:
                return Counts(**noted["counts"])
            if load.creates:
                make_table(session, load)
            there = read_table(session, load.table.name)
            if there is None:
                raise CannotResume(f"{load.name}: there is no such table any more")
            known = replace(load, table=there, creates=False)
            arriving, defaults, places = self._arriving(session, books, run, known)
            _check_kept(session, arriving)
            stored = [one for one in there.columns if not one.generated]
            session.run(make_undo(run, load, stored), doing=f"loading {load.name}")
            with session.transaction():
                changing = Changing(
                    session, arriving, tuple(one.name for one in stored),
                    tuple(arriving.columns(defaults)),
                )  # fmt: skip
                SnowflakeChecking(known, places, session, arriving).refuse_keys()
                counts = changing.change()
                books.lock()
                if (noted := books.note(run, APPLIED, load.name)) is not None:
                    session.rollback()
                    return Counts(**noted["counts"])
                counts, note = self._noted(session, books, run, load, known, counts)
                books.add_line(run, APPLIED, load.name, note)
            return counts

    def _noted(
        self, session: Session, books: Books, run: str, load: Load, known: Load, counts: Counts
    ) -> tuple[Counts, dict[str, Any]]:
        staged = [one for _, one in sorted(_staged(books, run, load).items())]
        refused = sum(one["refused"] for one in staged)
        counts = replace(counts, read=sum(one["rows"] for one in staged) + refused, refused=refused)
        made = Made(
            load.name, load.table.name, undo_table(run, load).as_string(None).split('"')[-2],
            tuple(one.name for one in known.table.columns if not one.generated),
            lasting_key(known), counts.as_dict(), load.creates, (),
        )  # fmt: skip
        return counts, line_of(made, load, highest(session, Arriving(run, known)))

    def _arriving(
        self, session: Session, books: Books, run: str, load: Load
    ) -> tuple[Arriving, dict[str, str], dict[int, str]]:
        """Make the rows as they will arrive.

        Raises:
            CannotResume: not every input is staged.
        """
        staged = _staged(books, run, load)
        if len(staged) < len(load.inputs):
            raise not_staged(load, len(staged))
        defaults = {} if load.creates else defaults_of(session, load.table.name)
        arriving = Arriving(run, load)
        session.run(arriving.make(defaults), doing=f"reading what is staged for {load.name}")
        return arriving, defaults, {number: one["input"] for number, one in staged.items()}

    def clean_up(self, run: str, load: Load) -> None:
        with self._session() as session:
            for table in (staged_table(run, load), Arriving(run, load).table):
                text = statement("drop table if exists {t}", t=table)
                session.run(text, doing="dropping what was staged")

    # the way back

    def foresee(self, run: str) -> Foreseen | None:
        return self._undos.foresee(run)

    def undo(self, run: str, others: Others) -> Undone:
        return self._undos.undo(run, others)

    def watermark(self, load: Load) -> str:
        with self._session() as session:
            books = self._books(session)
            return (
                last_watermark(load, books.notes_of(APPLIED, load.name)) if books.are_there else ""
            )

    def left(self, run: str = "") -> Sequence[Left]:
        return self._undos.left(run)

    def clean(self, lefts: Sequence[Left]) -> None:
        self._undos.clean(lefts)

    def assets(self, table: Name) -> list[dict[str, str]]:
        one = self._address
        names = "/".join(quote(part, safe="") for part in (one.database, table.schema, table.name))
        return [{"uri": f"snowflake://{one.account}/{names}"}]


def _staged(books: Books, run: str, load: Load) -> dict[int, dict[str, Any]]:
    """The lines of inputs that are staged, by number."""
    found = {number: books.note(run, STAGED, staged_item(load.name, number))
             for number, _ in enumerate(load.inputs)}  # fmt: skip
    return {number: note for number, note in found.items() if note is not None}


def _refused_before(books: Books, run: str, load: Load) -> int:
    return sum(one["refused"] for one in _staged(books, run, load).values())


def _check_kept(session: Session, arriving: Arriving) -> None:
    """Raises:
    Refused: a column would change what an expression gives.
    """
    load = arriving.load
    if not any(one.sql for one in load.assigned):
        return
    ((many,),) = session.run(arriving.changed(), doing=f"checking {load.name}")
    if many:
        message = f"{int(many):,} rows have a value of an expression that its column would change"
        hint = "nothing was loaded; round or cut it in the expression itself"
        raise Refused([Problem(load.name, message, hint)])
