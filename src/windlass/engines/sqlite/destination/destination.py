"""An SQLite file that a PostgreSQL database is migrated into. See
`windlass.engines.destination.Destination`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self
from urllib.parse import quote

from windlass.engines.destination import Columns, Note, Rows, Session
from windlass.engines.paths import identity_of
from windlass.engines.sqlite.destination import carrying, expressions, proving, statements, undoing
from windlass.engines.sqlite.destination.file import TargetFile
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
    Standing,
    TableConversion,
    TableDraft,
    Tried,
    ViewConversion,
)
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.relation import Name
from windlass.model.translation import Digest, Field, Index, Reading, Row, Type

Item = TableConversion | ViewConversion


class SqliteDestination:
    engine = "SQLite"
    has_schemas = False
    floats = "bits"

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        path = path_of_url(url)
        self._file = TargetFile(path)
        self.place = self._file.place
        self.identity = identity_of("sqlite", path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        """Nothing is open."""

    # what it would be made of

    def same(self, name: str) -> str:
        return name.lower()

    def quoted(self, name: str) -> str:
        return names(name).as_string(None)

    def named(self, source: Name, schemas: Mapping[str, str]) -> Name:
        return Name(statements.MAIN, source.name)

    def name_problem(self, name: str) -> str:
        return statements.name_problem(name)

    def carry(self, column: PgColumn, answer: str) -> Carried | str:
        return carrying.carry(column, answer)

    def translated(self, text: str, columns: Columns) -> str | None:
        return expressions.translated(text, columns)

    def default(self, text: str, column: PgColumn, carried: Carried) -> str | None:
        return statements.default(text, column.type.base, carried.sort)

    def is_constant(self, text: str, carried: Carried) -> bool:
        return expressions.is_constant(text, carried.enum)

    def literal(self, value: Any) -> str:
        return statements.literal(value)

    def refused(self, draft: TableDraft) -> Sequence[str]:
        counting = [one for one in draft.columns if one.counts_up]
        able = statements.counts_up(draft)
        return [
            f"column {one.plan.target} does not count up: only an INTEGER that is the primary key"
            " does in SQLite"
            for one in counting
            if one.plan.target != able
        ]

    def create(self, draft: TableDraft) -> str:
        return statements.create(draft)

    def foreign_keys(self, draft: TableDraft) -> Sequence[Made]:
        return ()

    def index(self, draft: TableDraft, index: Index) -> Made | str:
        return statements.index(draft.name, index)

    def view(
        self, name: Name, columns: Sequence[str], query: str, tables: Mapping[Name, Columns]
    ) -> str | None:
        made = expressions.translated_query(query, {one: one.name for one in tables})
        return None if made is None else statements.view(name, columns, made)

    def proving(
        self, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
    ) -> AbstractContextManager[proving.Trial]:
        return proving.proving(columns, tried)

    def tried(self, plan: ConversionPlan) -> Mapping[str, str]:
        return proving.try_plan(plan)

    # the target

    def notices(self) -> Sequence[str]:
        return ()

    def standing(self) -> Standing:
        return self._file.standing()

    def runs(self) -> Sequence[LoadRun]:
        return self._file.runs()

    def read(self, run: str) -> LoadRun | None:
        return self._file.read(run)

    def is_active(self, run: str) -> bool:
        return self._file.is_active(run)

    def working(self, run: str) -> AbstractContextManager[None]:
        return self._file.working(run)

    def begin(self, run: LoadRun, *, is_new: bool) -> LoadRun:
        return self._file.begin(run, is_new=is_new)

    @property
    def is_doubtful(self) -> bool:
        return self._file.is_doubtful

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        return self._file.once(run, step, item, work)

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

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        self._file.end(run, state, outcome)

    def settle(self) -> LoadRun | None:
        return self._file.settle()

    def drop_view(self, view: ViewConversion) -> str:
        return statement("drop view {v}", v=names(view.target.name))

    # the proof

    def count(self, table: TableConversion) -> int:
        query = statement("select count(*) from {t}", t=names(table.target.name))
        with self._file.reading(f"counting {table.target}") as session:
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
            return origin.digest(_reading(item), Whole())

    def buckets(self, table: TableConversion) -> Mapping[int, Digest]:
        with self._proving(table) as origin:
            return origin.buckets(_reading(table))

    def rows_of(self, table: TableConversion, buckets: Sequence[int]) -> Iterator[Row]:
        with self._proving(table) as origin:
            yield from origin.rows(_reading(table), buckets)

    @contextmanager
    def _proving(self, item: Item) -> Iterator[SqliteOrigin]:
        """The file is read as a source is: the texts of rows are the same."""
        with SqliteOrigin(f"sqlite://{quote(str(self._file.now))}") as origin:
            origin.hold()
            names_ = frozenset(one.target for one in item.columns if not one.not_null)
            origin.know(item.target.name, Seen(names_, names_, names_))
            yield origin

    def missing(self, plan: ConversionPlan) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if not self._file.now.exists():
            return {str(one.target): "is missing on the target" for one in plan.tables}
        query = "select name from pragma_table_xinfo(?)"
        with self._file.reading("reading its tables") as session:
            for table in plan.tables:
                have = {one.lower() for (one,) in session.execute(query, (table.target.name,))}
                lacks = [one.target for one in table.columns if one.target.lower() not in have]
                if not have:
                    found[str(table.target)] = "is missing on the target"
                elif lacks:
                    found[str(table.target)] = f"lacks column {', '.join(lacks)} on the target"
        return found

    # the way back

    def foresee(self, run: str, plan: ConversionPlan) -> Foreseen:
        return undoing.Undoing(self._file, run, plan, self.digest).foresee()

    def undo(self, run: str, plan: ConversionPlan, others: Others) -> Undone:
        return undoing.Undoing(self._file, run, plan, self.digest).undo(others)

    def cancel(self) -> None:
        self._file.cancel()


def _reading(item: Item) -> Reading:
    fields = tuple(Field(one.target, Type(one.carried.sort, bits=64)) for one in item.columns)
    key = item.key if isinstance(item, TableConversion) else ()
    return Reading(Name(statements.MAIN, item.target.name), fields, key)
