"""A DuckDB file that a PostgreSQL database is migrated into. See
`windlass.engines.destination.Destination`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from windlass.engines.converting.expressions import is_constant
from windlass.engines.converting.lacking import lacking
from windlass.engines.destination import Columns, Lost, Note, Rows, Session
from windlass.engines.duckdb.destination import (
    asides,
    carrying,
    expressions,
    filling,
    fitting,
    forms,
    ordering,
    proving,
    statements,
)
from windlass.engines.duckdb.destination.file import IMMEDIATELY, DuckDbFile, name_of, objects
from windlass.engines.duckdb.opening import file_of
from windlass.engines.duckdb.origin import reading as rows
from windlass.engines.embedded.converting import undoing
from windlass.engines.embedded.converting.destination import FileDestination
from windlass.engines.paths import identity_of
from windlass.engines.statements import statement
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
from windlass.model.translation import Digest, Index, Reading, Row

T = TypeVar("T")

_PUBLIC = "public"
_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER")


class DuckDbDestination(FileDestination):
    engine = "DuckDB"
    has_schemas = True
    has_comments = True
    writes_beside = False  # a file has one writer
    enforces_keys = True

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        path = file_of(url, "target")
        self._duckdb = DuckDbFile(path)
        super().__init__(self._duckdb, identity_of("duckdb", path))

    # what it would be made of

    def named(self, source: Name, schemas: Mapping[str, str]) -> Name:
        """The name on the target: PostgreSQL's `public` is DuckDB's `main`."""
        own = statements.MAIN if source.schema == _PUBLIC else source.schema
        return Name(schemas.get(source.schema, own), source.name)

    def name_problem(self, name: str) -> str:
        return statements.name_problem(name)

    def carry(self, column: PgColumn, answer: str) -> Carried | str:
        return carrying.carry(column, answer)

    def translated(self, text: str, columns: Columns) -> str | None:
        return expressions.TRANSLATOR.translated(text, columns)

    def default(self, text: str, column: PgColumn, carried: Carried) -> str | None:
        return statements.default(text, carried)

    def is_constant(self, text: str, carried: Carried) -> bool:
        return is_constant(text, carried.enum)

    def literal(self, value: Any, carried: Carried) -> str:
        return statements.literal(value, carried)

    def counts_up(self, carried: Carried, *, is_key: bool) -> bool:
        return carried.type in fitting.COUNTING

    def fitted(
        self, draft: TableDraft, known: Mapping[Name, TableDraft]
    ) -> tuple[TableDraft, Lost]:
        return fitting.fitted(draft, known)

    def create(self, draft: TableDraft) -> str:
        return statements.create(draft)

    def late_key(self, draft: TableDraft) -> Made | None:
        """DuckDB holds the keys of inserted rows twice, and those of a new index once."""
        return statements.late_key(draft)

    def beside(self, draft: TableDraft) -> tuple[Sequence[Made], Sequence[Made]]:
        return statements.beside(draft)

    def index(self, draft: TableDraft, index: Index) -> Made | str:
        return statements.index(draft.name, index)

    def view(
        self, name: Name, columns: Sequence[str], query: str, tables: Mapping[Name, Columns],
        names: Mapping[Name, Name],
    ) -> str | None:  # fmt: skip
        paths = {one: (names[one].schema, names[one].name) for one in tables}
        made = expressions.TRANSLATOR.translated_query(query, tables, paths)
        return None if made is None else statements.view(name, columns, made)

    def proving(
        self, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
    ) -> AbstractContextManager[proving.Trial]:
        return proving.proving(columns, tried)

    def tried(self, plan: ConversionPlan) -> Mapping[str, str]:
        return proving.try_plan(plan)

    # the target

    def replacing(self, run: str, names: Collection[Name], standing: Standing) -> Replacing:
        file = self._duckdb
        paths = file.path, file.aside_of(run)
        return self._asked(
            "reading its tables",
            lambda session: asides.replacing(session, objects(session), names, paths, standing),
        )

    def set_aside(self, session: Any, run: str, plan: ConversionPlan) -> None:
        """A file is set aside once the new one is complete."""

    def kept(self, run: str, plan: ConversionPlan) -> Sequence[str]:
        aside = self._duckdb.aside_of(run)
        return [str(aside)] if plan.set_aside and aside.exists() else []

    def clean(self, run: str, plan: ConversionPlan) -> None:
        for one in self.kept(run, plan):
            Path(one).unlink()
        with self._duckdb.writing(f"cleaning up after run {run}") as session:
            self._duckdb.forget(session, run)

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        """If DuckDB runs out of memory, start over with more."""
        return self._duckdb.with_memory(lambda: self._duckdb.once(run, step, item, work))

    def insert(self, session: Any, table: TableConversion, rows: Rows) -> None:
        columns = [(one.target, one.carried) for one in table.columns if not one.is_generated]
        session.execute(self._duckdb.memory.at_least(filling.memory_mb(table)))
        if table.itself:
            filling.fill(session, ordering.stage(session, table), columns, rows)
        else:
            filling.fill(session, table.target, columns, rows)

    def inserted(self, session: Any, table: TableConversion) -> None:
        if table.itself:
            ordering.insert(session, table)

    def build(self, session: Any, table: TableConversion, made: Made) -> None:
        session.execute(self._duckdb.memory.at_least(filling.index_mb(table, made)))
        session.execute(IMMEDIATELY)
        session.execute(made.statement)

    def broken(
        self, session: Any, tables: Sequence[TableConversion]
    ) -> Iterable[tuple[str, str, int]]:
        """Always empty: DuckDB has refused such rows."""
        return ()

    def set_counter(self, session: Any, table: TableConversion, number: int) -> None:
        for text in statements.set_sequence(table, number):
            session.execute(text)

    def drop_view(self, view: ViewConversion) -> str:
        return statement("drop view {v}", v=statements.table_name(view.target))

    # the proof

    def count(self, table: TableConversion) -> int:
        query = statement("select count(*) from {t}", t=statements.table_name(table.target))
        found: tuple[int] = self._asked(
            f"counting {table.target}", lambda session: session.execute(query).fetchone()
        )
        return found[0]

    def digest(self, table: TableConversion) -> Digest:
        return self._asked(
            f"hashing {table.target}",
            lambda session: rows.read_digest(session, _reading(table), Whole()),
        )

    def digest_of_view(self, view: ViewConversion) -> Digest | None:
        def read(session: Any) -> Digest | None:
            reading = _reading_view(session, view)
            return None if reading is None else rows.read_digest(session, reading, Whole())

        try:
            return self._asked(f"hashing {view.target}", read)
        except WindlassError:
            return None

    def buckets(self, table: TableConversion) -> Mapping[int, Digest]:
        return self._asked(
            f"hashing {table.target}", lambda session: rows.read_buckets(session, _reading(table))
        )

    def rows_of(self, table: TableConversion, buckets: Sequence[int]) -> Iterator[Row]:
        return iter(
            self._asked(
                f"comparing {table.target}",
                lambda session: list(rows.read_rows(session, _reading(table), buckets)),
            )
        )

    def _asked(self, doing: str, call: Callable[[Any], T]) -> T:
        def ask() -> T:
            with self._duckdb.reading(doing) as session:
                return call(session)

        return self._duckdb.with_memory(ask)

    def missing(self, plan: ConversionPlan) -> Mapping[str, str]:
        if not self._duckdb.now.exists():
            return lacking(plan, lambda table: (), self.same)
        query = (
            "select lower(schema_name), lower(table_name), list(lower(column_name))"
            " from duckdb_columns() where database_name = current_database() group by 1, 2"
        )
        found = self._asked("reading its tables", lambda one: one.execute(query).fetchall())
        there = {(schema, table): set(columns) for schema, table, columns in found}
        return lacking(
            plan, lambda one: there.get((one.schema.lower(), one.name.lower()), ()), self.same
        )

    # the way back

    @property
    def _reading(self) -> undoing.Reading:
        return undoing.Reading(
            self._definitions, self.digest, self.count, name_of, statements.drops,
            lambda session, plan: None, lambda plan: self.kept(plan.run, plan),
        )  # fmt: skip

    def _definitions(self, plan: ConversionPlan) -> undoing.Definitions:
        """What the plan makes is made in memory first, because DuckDB rewrites definitions."""
        with proving.in_memory() as session:
            proving.made_in(session, plan)
            planned = objects(session)
        there = self._asked("looking for changes", objects)
        return undoing.Definitions(there, {name: text or "" for name, text in planned.items()})


def _reading(table: TableConversion) -> Reading:
    fields = tuple(forms.field_of(one.target, one.carried) for one in table.columns)
    return Reading(table.target, fields, table.key)


def _reading_view(session: Any, view: ViewConversion) -> Reading | None:
    """The view as it is read; None if DuckDB gives a column a type other than the source's."""
    query = statement("describe {v}", v=statements.table_name(view.target))
    types = [row[1] for row in session.execute(query).fetchall()]
    pairs = list(zip(view.columns, types, strict=True))
    if not all(_is_alike(one.carried, type_) for one, type_ in pairs):
        return None
    fields = tuple(forms.field_of(one.target, one.carried, type_) for one, type_ in pairs)
    return Reading(view.target, fields)


def _is_alike(carried: Carried, type_: str) -> bool:
    """Whether values of both types are printed as the same texts."""
    if carried.type == type_ or (carried.type in _INTEGERS and type_ in _INTEGERS):
        return True
    is_number = carried.type == "VARCHAR" or carried.type.startswith("DECIMAL")
    return is_number and type_.startswith(("DECIMAL", *_INTEGERS))
