"""A DuckDB file as a target of loads. Other processes cannot open it while a call is at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
from psycopg import sql

from windlass.engines.duckdb.facts import FACTS
from windlass.engines.duckdb.kept_file import KeptFile
from windlass.engines.duckdb.landing.catalog import columns, positions, read_table
from windlass.engines.duckdb.landing.staging import Filling, prepare
from windlass.engines.duckdb.memory import ADDING_MB, STAGING_MB, Memory
from windlass.engines.duckdb.opening import file_of
from windlass.engines.duckdb.session import MEMORY_MB, explaining, without_values
from windlass.engines.duckdb.types import type_of
from windlass.engines.embedded.dialect import Dialect, Session
from windlass.engines.embedded.file import Result
from windlass.engines.embedded.landing import FileLanding
from windlass.engines.embedded.names import STAGE
from windlass.engines.embedded.staged import find_done
from windlass.engines.embedded.working import working
from windlass.engines.incoming.shape import field_column
from windlass.engines.landing import Input
from windlass.engines.statements import names, statement, verbatim
from windlass.engines.stopping import Stops
from windlass.errors import WindlassError
from windlass.model.export import FLOATS, NUMBERS, STAMPS, Column, Kind
from windlass.model.load import Field, Load, Staged, Table, TableColumn
from windlass.model.relation import Name
from windlass.model.report import Problem

MOST_LOG_BYTES = 16 << 20  # DuckDB's own threshold, at which it may do so


def open_landing(url: str) -> FileLanding:
    """Connects to nothing yet.

    Raises:
        BadSpec: the URL names no file.
    """
    return FileLanding(DuckDbFile(file_of(url, "target")))


class DuckDbFile:
    """See `windlass.engines.embedded.file.File`."""

    schema = "main"
    facts = FACTS

    def __init__(self, path: str) -> None:
        self.path, self.place = path, f"DuckDB {path}"
        self.dialect = DIALECT
        self._kept, self._stops = KeptFile(path), Stops()
        self._memory = Memory()

    @property
    def is_there(self) -> bool:
        return Path(self.path).exists()

    @contextmanager
    def reading(self, doing: str, staged: Path | None = None) -> Iterator[Any]:
        with (
            explaining(self.place, doing, self._stops),
            self._stops.during(self._kept.cancel),
            self._kept.session(self._memory.settings) as session,
        ):
            if staged is None:
                yield session
                return
            attach = "attach {path} as {name}"
            session.execute(statement(attach, path=sql.Literal(str(staged)), name=names(STAGE)))
            yield session
            session.execute(statement("detach {name}", name=names(STAGE)))

    @contextmanager
    def writing(self, doing: str, staged: Path | None = None) -> Iterator[Any]:
        """An error closes the session, which rolls back."""
        with self.reading(doing, staged) as session:
            session.execute("begin")
            yield session
            session.execute("commit")
            log = Path(f"{self.path}.wal")
            if log.exists() and log.stat().st_size > MOST_LOG_BYTES:
                session.execute("checkpoint")  # or who opens the file needs as much memory

    def describe(self, session: Any, name: Name) -> Table | None:
        return read_table(session, name)

    def with_memory(self, call: Callable[[], Result], *, adds: bool = False) -> Result:
        return self._memory.enough(call, ADDING_MB if adds else MEMORY_MB)

    def stage(self, staged: Path, load: Load, number: int, source: Input) -> Staged:
        return self._memory.enough(lambda: self._stage(staged, load, number, source), STAGING_MB)

    def _stage(self, staged: Path, load: Load, number: int, source: Input) -> Staged:
        with self.writing(f"staging {source.place}", staged) as session:
            prepare(session, load)
            found = find_done(session, number)
            return found or Filling(session, load, number, source, self._stops).fill()

    def problems(self, session: Any, load: Load) -> Sequence[Problem]:
        if not load.creates and not positions(session, load.table):
            message = "a column is called rowid: rows cannot be told apart"
            return [Problem(load.name, message)]
        return []

    def working(self, run: str) -> AbstractContextManager[None]:
        return working(self.place, self.path, run)

    def cancel(self) -> None:
        self._stops.cancel()

    def close(self) -> None:
        self._kept.close()


def _given(column: TableColumn, text: str) -> Any:
    """Raises:
    WindlassError: the text is no value of this column's.
    """
    if column.kind not in NUMBERS:
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise WindlassError(f"{column.name}: {text!r} is not {column.type}") from None
    return int(number) if number == number.to_integral_value() else float(number)


def _typed(column: TableColumn) -> sql.Composable:
    if column.kind in NUMBERS:
        return sql.SQL("?")
    return sql.SQL("cast(? as {})").format(verbatim(column.type))


def _own(text: str) -> str:
    return text


def _field_type(load: Load, one: Field) -> sql.Composable:
    found = field_column(load, one.name)
    if found:
        return verbatim(found.type)
    if one.column is None or one.column.kind is Kind.NESTED:
        return sql.SQL("varchar")
    return verbatim(type_of(one.column))


def _compiles(session: Session, query: str) -> str:
    try:
        if len(session.extract_statements(query)) != 1:  # type: ignore[attr-defined]
            return "it is more than one statement"
        session.execute("explain " + query)
    except duckdb.Error as error:
        return without_values(error)
    return ""


def _ordered(value: sql.Composable, column: TableColumn, given: Column | None) -> sql.Composable:
    kind = column.kind
    if kind is Kind.TEXT:
        if given is None or given.kind is Kind.NESTED:
            return sql.SQL('{} collate "C"').format(value)
        kind, type_ = given.kind, verbatim(type_of(given))
        value = sql.SQL("cast({} as {})").format(value, type_)
    if kind in (*FLOATS, *STAMPS):
        return sql.SQL("case when isfinite({0}) then {0} end").format(value)
    return value


def _type_known_as(session: Session, type_: str) -> str:
    query = statement("select typeof(cast(null as {type}))", type=verbatim(type_))
    try:
        (row,) = session.execute(query).fetchall()
    except duckdb.Error:  # none that it knows
        return type_
    return str(row[0])


def _exact_text(value: sql.Composable) -> sql.Composable:
    return sql.SQL("cast({} as varchar)").format(value)


DIALECT = Dialect(
    same="{} is not distinct from {}", other="{} is distinct from {}", columns=columns,
    given=_given, typed=_typed, own_sql=_own, type_text=verbatim, field_type=_field_type,
    compiles=_compiles, indexes=False, undoes_singly=True, by_position=positions,
    type_known_as=_type_known_as, exact_text=_exact_text, ordered=_ordered,
)  # fmt: skip
