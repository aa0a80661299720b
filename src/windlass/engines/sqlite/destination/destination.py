"""An SQLite file that a PostgreSQL database is migrated into. See
`windlass.engines.destination.Destination`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

from windlass.engines.converting.expressions import is_constant
from windlass.engines.converting.lacking import lacking
from windlass.engines.destination import Columns, Lost, Rows
from windlass.engines.embedded.converting import undoing
from windlass.engines.embedded.converting.destination import FileDestination
from windlass.engines.paths import identity_of
from windlass.engines.sqlite.destination import (
    asides,
    carrying,
    expressions,
    proving,
    statements,
)
from windlass.engines.sqlite.destination.file import SqliteFile
from windlass.engines.sqlite.landing.session import path_of_url
from windlass.engines.sqlite.origin.origin import SqliteOrigin
from windlass.engines.sqlite.origin.seen import Seen
from windlass.engines.statements import names, statement
from windlass.errors import WindlassError
from windlass.model.chunk import Whole
from windlass.model.conversion import (
    Carried,
    ConversionPlan,
    Made,
    PgColumn,
    Replacing,
    Standing,
    TableConversion,
    TableDraft,
    Tried,
    ViewConversion,
)
from windlass.model.relation import Name
from windlass.model.translation import Digest, Field, Index, Reading, Row, Type

Item = TableConversion | ViewConversion


class SqliteDestination(FileDestination):
    engine = "SQLite"
    has_schemas = False
    has_comments = False
    writes_beside = False  # a file has one writer
    enforces_keys = False

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        path = path_of_url(url)
        super().__init__(SqliteFile(path), identity_of("sqlite", path))

    # what it would be made of

    def named(self, source: Name, schemas: Mapping[str, str]) -> Name:
        return Name(statements.MAIN, source.name)

    def name_problem(self, name: str) -> str:
        return statements.name_problem(name)

    def carry(self, column: PgColumn, answer: str) -> Carried | str:
        return carrying.carry(column, answer)

    def translated(self, text: str, columns: Columns) -> str | None:
        return expressions.TRANSLATOR.translated(text, columns)

    def default(self, text: str, column: PgColumn, carried: Carried) -> str | None:
        return statements.default(text, column.type.base, carried.sort)

    def is_constant(self, text: str, carried: Carried) -> bool:
        return is_constant(text, carried.enum)

    def literal(self, value: Any, carried: Carried) -> str:
        return statements.literal(value)

    def counts_up(self, carried: Carried, *, is_key: bool) -> bool:
        return is_key and carried.type == "INTEGER"

    def fitted(
        self, draft: TableDraft, known: Mapping[Name, TableDraft]
    ) -> tuple[TableDraft, Lost]:
        return statements.fitted(draft)

    def create(self, draft: TableDraft) -> str:
        return statements.create(draft)

    def beside(self, draft: TableDraft) -> tuple[Sequence[Made], Sequence[Made]]:
        return (), ()

    def index(self, draft: TableDraft, index: Index) -> Made | str:
        return statements.index(draft.name, index)

    def view(
        self,
        name: Name,
        columns: Sequence[str],
        query: str,
        tables: Mapping[Name, Columns],
        names: Mapping[Name, Name],
    ) -> str | None:
        path = {one: (one.name,) for one in tables}
        made = expressions.TRANSLATOR.translated_query(query, tables, path)
        return None if made is None else statements.view(name, columns, made)

    def proving(
        self, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
    ) -> AbstractContextManager[proving.Trial]:
        return proving.proving(columns, tried)

    def tried(self, plan: ConversionPlan) -> Mapping[str, str]:
        return proving.try_plan(plan)

    # the target

    def replacing(self, run: str, names: Collection[Name], standing: Standing) -> Replacing:
        wanted = {self.same(one.name) for one in names}
        with self._target.reading("reading its tables") as session:
            return asides.replacing(session, run, wanted, standing)

    def set_aside(self, session: Any, run: str, plan: ConversionPlan) -> None:
        asides.set_aside(session, run, plan.set_aside)

    def insert(self, session: Any, table: TableConversion, rows: Rows) -> None:
        columns = [one.target for one in table.columns if not one.is_generated]
        session.executemany(statements.insert(table.target, columns), rows)

    def broken(
        self, session: Any, tables: Sequence[TableConversion]
    ) -> Iterable[tuple[str, str, int]]:
        query = "select parent, count(*) from pragma_foreign_key_check(?) group by 1"
        for table in tables:
            for parent, count in session.execute(query, (table.target.name,)).fetchall():
                yield str(table.source), str(parent), int(count)

    def set_counter(self, session: Any, table: TableConversion, number: int) -> None:
        name = table.target.name
        assert table.counter is not None
        highest = statement(
            "select coalesce(max({column}), 0) from {table}",
            column=names(table.counter.column), table=names(statements.MAIN, name),
        )  # fmt: skip
        (most,) = session.execute(highest).fetchone()
        session.execute("delete from sqlite_sequence where name = ?", (name,))
        given = "insert into sqlite_sequence (name, seq) values (?, ?)"
        session.execute(given, (name, max(number, most)))

    def drop_view(self, view: ViewConversion) -> str:
        return statement("drop view {v}", v=names(view.target.name))

    # the proof

    def count(self, table: TableConversion) -> int:
        query = statement("select count(*) from {t}", t=names(table.target.name))
        with self._target.reading(f"counting {table.target}") as session:
            return int(session.execute(query).fetchone()[0])

    def digest(self, table: TableConversion) -> Digest:
        return self._digest(table)

    def digest_of_view(self, view: ViewConversion) -> Digest | None:
        try:
            return self._digest(view)
        except WindlassError:
            return None

    def _digest(self, item: Item) -> Digest:
        with self._proving(item) as origin:
            return origin.digest(_read(item), Whole())

    def buckets(self, table: TableConversion) -> Mapping[int, Digest]:
        with self._proving(table) as origin:
            return origin.buckets(_read(table))

    def rows_of(self, table: TableConversion, buckets: Sequence[int]) -> Iterator[Row]:
        with self._proving(table) as origin:
            yield from origin.rows(_read(table), buckets)

    @contextmanager
    def _proving(self, item: Item) -> Iterator[SqliteOrigin]:
        """The file is read as a source is: the texts of rows are the same."""
        with SqliteOrigin(f"sqlite://{quote(str(self._target.now))}") as origin:
            origin.hold()
            names_ = frozenset(one.target for one in item.columns if not one.not_null)
            origin.know(item.target.name, Seen(names_, names_, names_))
            yield origin

    def missing(self, plan: ConversionPlan) -> Mapping[str, str]:
        if not self._target.now.exists():
            return lacking(plan, lambda table: (), self.same)
        query = "select name from pragma_table_xinfo(?)"
        with self._target.reading("reading its tables") as session:

            def have(table: Name) -> set[str]:
                return {self.same(one) for (one,) in session.execute(query, (table.name,))}

            return lacking(plan, have, self.same)

    # the way back

    @property
    def _reading(self) -> undoing.Reading:
        return undoing.Reading(
            self._definitions, self.digest, self.count, lambda name: name.name, statements.drops,
            lambda session, plan: asides.put_back(session, plan.set_aside), self._kept,
        )  # fmt: skip

    def _kept(self, plan: ConversionPlan) -> Sequence[str]:
        with self._target.reading("reading its tables") as session:
            return asides.kept(session, plan.set_aside)

    def kept(self, run: str, plan: ConversionPlan) -> Sequence[str]:
        return self._kept(plan)

    def clean(self, run: str, plan: ConversionPlan) -> None:
        with self._target.writing(f"cleaning up after run {run}") as session:
            asides.drop(session, plan.set_aside)
            self._target.forget(session, run)

    def _definitions(self, plan: ConversionPlan) -> undoing.Definitions:
        with self._target.reading("looking for changes") as session:
            found = session.execute("select name, tbl_name, sql from sqlite_schema").fetchall()
        own = ("sqlite_", asides.OWN)
        return undoing.Definitions(
            {
                name: text
                for name, table, text in found
                if not name.startswith(own) and not table.startswith(asides.OWN)
            },
            statements.definitions(plan),
        )


def _read(item: Item) -> Reading:
    fields = tuple(Field(one.target, Type(one.carried.sort, bits=64)) for one in item.columns)
    key = item.key if isinstance(item, TableConversion) else ()
    return Reading(Name(statements.MAIN, item.target.name), fields, key)
