"""An SQLite file as a target of loads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import sql

from windlass.engines.embedded.dialect import Dialect, Session
from windlass.engines.embedded.file import Result
from windlass.engines.embedded.landing import FileLanding
from windlass.engines.embedded.staged import find_done
from windlass.engines.embedded.working import working
from windlass.engines.incoming.shape import field_column
from windlass.engines.landing import Input
from windlass.engines.sqlite.facts import FACTS
from windlass.engines.sqlite.identifiers import strictly_named
from windlass.engines.sqlite.landing.catalog import columns, positions, read_table
from windlass.engines.sqlite.landing.session import BUSY_SECONDS, Opener, path_of_url
from windlass.engines.sqlite.landing.staging import Filling, prepare
from windlass.engines.sqlite.landing.values import converter
from windlass.engines.statements import each, names
from windlass.errors import WindlassError
from windlass.model.export import NUMBERS, Column, Kind
from windlass.model.load import Field, Load, Staged, Table, TableColumn
from windlass.model.relation import Name
from windlass.model.report import Problem

# texts that mean infinity or NaN in several sources
_INFINITE = ("nan", "inf", "-inf", "infinity", "-infinity")


def open_landing(url: str, busy_seconds: float = BUSY_SECONDS) -> FileLanding:
    """Connects to nothing yet.

    Raises:
        BadSpec: the URL names no file.
    """
    return FileLanding(SqliteFile(path_of_url(url), busy_seconds))


class SqliteFile:
    """See `windlass.engines.embedded.file.File`."""

    schema = "main"
    facts = FACTS

    def __init__(self, path: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self._opener = Opener(path, busy_seconds)
        self.place = self._opener.place
        self.dialect = DIALECT
        self._staging = Lock()

    @property
    def is_there(self) -> bool:
        return Path(self.path).exists()

    @contextmanager
    def reading(self, doing: str, staged: Path | None = None) -> Iterator[Any]:
        with self._opener.session(doing, staged) as session:
            yield session

    @contextmanager
    def writing(self, doing: str, staged: Path | None = None) -> Iterator[Any]:
        with self._opener.transaction(doing, staged) as session:
            yield session

    def describe(self, session: Any, name: Name) -> Table | None:
        return read_table(session, name)

    def with_memory(self, call: Callable[[], Result], *, adds: bool = False) -> Result:
        return call()  # SQLite has a small cache, and needs no more

    def stage(self, staged: Path, load: Load, number: int, source: Input) -> Staged:
        """Copy an input into the staged rows. The file itself is not locked: others can read and
        write it."""
        doing = f"staging {source.place}"
        with self._staging, self._opener.session(doing, staged) as session:
            session.execute("begin")
            prepare(session, load)
            session.execute("commit")
            found = find_done(session, number)
            return found or Filling(session, load, number, source, self._opener.stops).fill()

    def problems(self, session: Any, load: Load) -> Sequence[Problem]:
        found = []
        if load.table.name.schema != self.schema:
            message = "SQLite has one schema, main"
            found.append(Problem(load.name, message, f"load into {load.table.name.name}"))
        elif not load.creates and not positions(session, load.table.name):
            message = "columns are called rowid, _rowid_ and oid: rows cannot be told apart"
            found.append(Problem(load.name, message))
        return found

    def working(self, run: str) -> AbstractContextManager[None]:
        return working(self.place, self.path, run)

    def cancel(self) -> None:
        self._opener.stops.cancel()

    def close(self) -> None:
        """Nothing is open."""


def _given(column: TableColumn, text: str) -> Any:
    """Raises:
    WindlassError: the text is no value of this column's.
    """
    try:
        if column.kind in NUMBERS:  # 1e6 can be a bound of integers too
            number = float(text)
            return int(number) if number.is_integer() and abs(number) < 1e15 else number
        return converter(column)(text)
    except ValueError as error:
        raise WindlassError(f"{column.name}: {text!r} is not {column.type}: {error}") from None


def _typed(_: TableColumn) -> sql.Composable:
    return sql.SQL("?")


def _type(type_: str) -> sql.Composable:
    return names(type_ or "blob")


def _field_type(load: Load, one: Field) -> sql.Composable:
    found = field_column(load, one.name)
    return _type(found.type if found else "text")


def _compiles(session: Session, query: str) -> str:
    try:
        session.execute("explain " + query)
    except sqlite3.Error as error:
        return str(error)
    return ""


def _positions(session: Any, table: Table) -> tuple[str, ...]:
    return positions(session, table.name)


def _ordered(value: sql.Composable, column: TableColumn, given: Column | None) -> sql.Composable:
    order = value
    if column.kind is Kind.TEXT:
        is_number = given is not None and given.kind in NUMBERS
        how = sql.SQL("cast({} as numeric)" if is_number else "{} collate binary")
        order = how.format(value)
        if given is None:
            return order
    finite = "case when lower(cast({} as text)) not in ({}) then {} end"
    return sql.SQL(finite).format(value, each("{}", map(sql.Literal, _INFINITE)), order)


def _type_known_as(_: Session, type_: str) -> str:
    """The declared type as SQLite compares it, without case and spaces."""
    return "".join(type_.split()).casefold()


def _exact_text(value: sql.Composable) -> sql.Composable:
    """Unchanged: SQLite writes 15 digits of a number, Python writes all."""
    return value


DIALECT = Dialect(
    same="{} is {}", other="{} is not {}", columns=columns, given=_given,
    typed=_typed, own_sql=strictly_named, type_text=_type, field_type=_field_type,
    compiles=_compiles, indexes=True, undoes_singly=False, by_position=_positions,
    type_known_as=_type_known_as, exact_text=_exact_text, ordered=_ordered,
)  # fmt: skip
