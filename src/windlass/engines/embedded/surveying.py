"""Finds what would prevent loads, before anything is written: missing or unsuitable tables, and SQL
that the engine refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from psycopg import sql

from windlass.engines.embedded.books import Books
from windlass.engines.embedded.dialect import Session
from windlass.engines.embedded.file import File
from windlass.engines.embedded.names import RESERVED, table_of
from windlass.engines.incoming.names import name_of, user_sql
from windlass.engines.incoming.surveying import Survey, no_value
from windlass.engines.paths import cannot_make
from windlass.engines.statements import names, statement
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.load import Assigned, Field, Load, Table
from windlass.model.report import Problem


def survey(file: File, books: Books, loads: Sequence[Load]) -> list[Problem]:
    if not file.is_there:
        fault = cannot_make(Path(file.path))
        if fault:
            return [Problem(file.place, fault, "check the path, and the folder's owner and mode")]
        return [
            Problem(load.name, "there is no such table: the file does not exist")
            for load in loads if not load.creates
        ]  # fmt: skip
    fault = cannot_make(Path(f"{file.path}-windlass"))
    if fault:
        hint = "rows are staged in a file beside the database: its folder has to be writable"
        return [Problem(file.place, fault, hint)]
    try:
        with file.reading("looking at the tables") as session:
            books.is_there(session)
            return [one for load in loads for one in _Survey(file, session, load).problems()]
    except ConnectionLost:
        raise
    except WindlassError as error:
        return [Problem(file.place, str(error), error.hint)]


class _Survey(Survey):
    """Surveys one load."""

    reserved = RESERVED

    def __init__(self, file: File, session: Session, load: Load) -> None:
        super().__init__(load)
        self._file, self._session, self._dialect = file, session, file.dialect

    def _described(self) -> Table | None:
        return self._file.describe(self._session, self._load.table.name)

    def _has_column(self, table: str, column: str) -> bool:
        name = name_of(table, self._load.table.name.schema)
        return column in self._dialect.columns(self._session, name)

    def _known_as(self, type_: str) -> str:
        return self._dialect.type_known_as(self._session, type_)

    def _no_field(self, field: Field) -> sql.Composable:
        return no_value(self._dialect.field_type(self._load, field), names(field.name))

    def _no_value(self, one: Assigned) -> sql.Composable:
        return no_value(self._dialect.type_text(one.type), names(one.column))

    def _itself(self) -> sql.Composable:
        return sql.SQL("{} as {}").format(table_of(self._load.table.name), names("t"))

    def _row(self, values: sql.Composable) -> sql.Composable:
        return sql.SQL("(select {}) as {}").format(values, names("s"))

    def _fault(self, what: str, text: str, item: sql.Composable) -> str:
        query = statement(
            "select {text} from {item} where 1 = 0",
            text=user_sql(self._dialect.own_sql(text)), item=item,
        )  # fmt: skip
        return self._dialect.compiles(self._session, query)

    def _of_rest(self) -> Iterable[Problem]:
        return self._file.problems(self._session, self._load)
