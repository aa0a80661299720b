"""Snowflake as the warehouse: rows and record in one transaction.

Statements that define tables commit by themselves there, so they come before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self
from urllib.parse import quote

from windlass.engines.kept import Kept
from windlass.engines.loads import AFTER_LOAD, BEFORE_LOAD, OF_RUN, column_names
from windlass.engines.objects.store import ObjectStore
from windlass.engines.snowflake.address import Address
from windlass.engines.snowflake.books import Books
from windlass.engines.snowflake.facts import FACTS
from windlass.engines.snowflake.hooks import HookRunner
from windlass.engines.snowflake.merging import Filling
from windlass.engines.snowflake.names import alike, named, shown, stored
from windlass.engines.snowflake.session import Session
from windlass.engines.snowflake.staging import staged
from windlass.engines.snowflake.tables import Tables
from windlass.engines.snowflake.types import type_problems
from windlass.engines.stopping import Stops
from windlass.errors import WindlassError
from windlass.model.export import Export, Loaded, Manifest
from windlass.model.fit import Fit, Survey
from windlass.model.report import Problem

_KINDS = ("BASE TABLE", "TABLE")  # that rows can be loaded into


class SnowflakeTarget:
    """Tables in one schema of a database of Snowflake."""

    facts = FACTS

    def __init__(self, url: str, schema: str = "") -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL is no warehouse of Snowflake.
        """
        self._address = Address.parse(url, schema)
        self.place = self._address.place
        self._stops = Stops()
        self._kept: Kept[Session] = Kept(Session.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._kept.close()

    def cancel(self) -> None:
        self._stops.cancel()

    @contextmanager
    def _session(self, *, keep: bool = True) -> Iterator[Session]:
        """A session with no open transaction, which stays open for the next call."""
        with (
            self._kept.one(lambda: Session(self._address), keep=keep) as session,
            self._stops.during(session.close),
        ):
            yield session

    def survey(self, exports: Sequence[Export]) -> Survey:
        try:
            with self._session() as session:
                if problems := tuple(self._place_problems(session)):
                    return Survey(problems)
                tables, books = Tables(session), Books(session)
                has_books = books.are_there
                kinds = tables.kinds(self._address.schema)
                found = [one for export in exports for one in _table_problems(export, kinds)]
                fits: dict[str, Fit] = {}
                for one in exports:
                    loaded = books.loaded_columns(one) if has_books else frozenset[str]()
                    if stored(one.table) not in kinds:
                        found += type_problems(one)
                    elif fit := tables.fit(one, loaded):
                        fits[one.name] = fit
                return Survey(tuple(found), fits)
        except WindlassError as error:
            if error.retryable:
                raise
            return Survey((Problem(self.place, str(error), error.hint),))

    def _place_problems(self, session: Session) -> Iterator[Problem]:
        """A login accepts any names. Those that do not exist are not set in its session."""
        text = "select current_database(), current_schema()"
        database, schema = session.run(text, doing="looking at the schema")[0]
        hint = "make it, or let the role use it: `?role=...` in the warehouse's URL"
        if database is None:
            yield Problem(self.place, f"there is no database {self._address.database}", hint)
        elif schema is None or schema != stored(self._address.schema):
            yield Problem(self.place, f"there is no schema {self._address.schema}", hint)

    def watermark(self, export: Export) -> str:
        with self._session() as session:
            books, tables = Books(session), Tables(session)
            if not (books.are_there and tables.columns(export.table)):
                return ""
            return books.watermark(export) if tables.count(export.table) else ""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        with self._session() as session:
            books = Books(session)
            return books.loaded(run, export) if books.are_there else None

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        with self._session(keep=not export.rules.hooks) as session:
            books, tables = Books(session), Tables(session)
            books.make()
            if done := books.loaded(manifest.run, export):
                return done
            left = tables.prepare(export)
            with staged(session, export, manifest, store) as found:
                there = tables.columns(export.table)
                filling = Filling(session, export, found, there)
                if left.changes:
                    is_new = self._remake(books, tables, filling, export, manifest)
                else:
                    is_new = self._fill(session, filling, export, manifest)
            done = books.loaded(manifest.run, export)
            assert done is not None
            return replace(done, is_new=is_new)

    def _fill(self, session: Session, filling: Filling, export: Export, manifest: Manifest) -> bool:
        """Fill the table in one transaction, with the export's hooks. Returns whether this process
        did it."""
        hooks, table = export.rules.hooks, named(export.table).as_string(None)
        runner = HookRunner(session)

        def work() -> int:
            runner.apply(BEFORE_LOAD, export.name, hooks.before, table)
            arrived = filling.fill(manifest.rows)
            runner.apply(AFTER_LOAD, export.name, hooks.after, table)
            return arrived

        return _once(Books(session), Tables(session), export, manifest, work)

    def _remake(
        self,
        books: Books,
        tables: Tables,
        filling: Filling,
        export: Export,
        manifest: Manifest,
    ) -> bool:
        """For a table whose columns are replaced. One statement does that, and commits by itself;
        repeated after a kill, it makes the same table. A line that is written first makes the
        watermarks of the earlier rows void."""
        with books.session.transaction():
            books.lock()
            words = (f"{manifest.run} begins to replace", export.table, export.source, export.name)
            books.add((*words, "", 0, 0, 0, "", "[]", True))
        filling.remake()
        return _once(books, tables, export, manifest, lambda: manifest.rows)

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        with self._session(keep=False) as session:
            books = Books(session)
            books.make()
            if books.has_run(run, source, when):
                return False
            with session.transaction():
                HookRunner(session).apply(when, f"run {run}", texts)
                books.lock()
                if books.has_run(run, source, when):
                    session.rollback()
                    return False
                books.add((run, OF_RUN, source, when, "", 0, 0, 0, "", "[]", False))
            return True

    def count(self, table: str) -> int:
        with self._session() as session:
            return Tables(session).count(table)

    def assets(self, table: str) -> list[dict[str, str]]:
        one = self._address
        names = "/".join(quote(part, safe="") for part in (one.database, one.schema, table))
        return [{"uri": f"snowflake://{one.account}/{names}"}]

    def clean_up(self, export: Export, run: str) -> None:
        """Nothing to do: what a load stages goes with its session."""


def _once(
    books: Books, tables: Tables, export: Export, manifest: Manifest, work: Callable[[], int]
) -> bool:
    """Do the work and write its line in one transaction, which is rolled back if another process
    has committed them first."""
    session = books.session
    with session.transaction():
        arrived = work()
        books.lock()
        if books.loaded(manifest.run, export):
            session.rollback()
            return False
        total = tables.count(export.table)
        words = (manifest.run, export.table, export.source, export.name, manifest.mark)
        replaced = export.disposition == "truncate"
        books.add(
            (*words, arrived, manifest.rows, total, manifest.watermark,
             column_names(export.columns), replaced)
        )  # fmt: skip
    return True


def _table_problems(export: Export, kinds: dict[str, str]) -> Iterator[Problem]:
    """`kinds` is what the schema has, by stored names."""
    kind = kinds.get(stored(export.table), "")
    hint = "give the relation another `table`"
    if kind and kind not in _KINDS:
        yield Problem(export.table, f"is a {kind.lower()}", hint)
    if other := alike(export.table, kinds):
        yield Problem(export.table, f"exists as {shown(other)}: only their case differs", hint)
