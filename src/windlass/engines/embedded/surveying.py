"""Finds what would prevent loads, before anything is written: missing or unsuitable tables, and SQL
that the engine refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from psycopg import sql

from windlass.engines.embedded.arriving import last_by_column, user_sql
from windlass.engines.embedded.books import Books
from windlass.engines.embedded.dialect import Session
from windlass.engines.embedded.file import File
from windlass.engines.embedded.names import RESERVED, name_of, table_of
from windlass.engines.incoming.marks import column_of_mark
from windlass.engines.incoming.shape import all_columns, assigned, matching_key
from windlass.engines.landing import other_type
from windlass.engines.paths import cannot_make
from windlass.engines.statements import listed, names, statement
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.export import Kind
from windlass.model.load import Assigned, Expect, Load
from windlass.model.load_words import Missing
from windlass.model.mask import Mask
from windlass.model.report import Problem

_MOMENTS = (Kind.TIMESTAMP, Kind.INSTANT, Kind.DATE)


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


class _Survey:
    """Surveys one load."""

    def __init__(self, file: File, session: Session, load: Load) -> None:
        self._file, self._session, self._load = file, session, load

    def problems(self) -> list[Problem]:
        load = self._load
        there = self._file.describe(self._session, load.table.name)
        if there is None and not load.creates:
            return [self._problem("there is no such table")]
        if there is not None and load.creates:
            return [self._problem("the table already exists")]
        if there is not None and there.problems:
            return list(there.problems)
        found = [*self._of_columns(), *self._of_words()]
        if found:
            return found
        return [*self._of_sql(), *self._file.problems(self._session, load)]

    def _problem(self, message: str, hint: str = "") -> Problem:
        return Problem(self._load.name, message, hint)

    def _of_columns(self) -> Iterator[Problem]:
        load = self._load
        columns = {one.name: one for one in all_columns(load)}
        fields = {one.name for one in load.fields}
        for one in load.assigned:
            if one.column not in columns:
                yield self._problem(f"there is no column {one.column}")
            elif columns[one.column].generated:
                yield self._problem(f"column {one.column} is computed: it cannot be given")
            if one.field and load.fields and one.field not in fields:
                yield self._problem(f"column {one.column}: the input has no field {one.field}")
        filled = set(assigned(load))
        for name, column in columns.items():
            fills_itself = column.has_default or column.generated or name in filled
            if load.words.history and name in (load.words.valid_from, load.words.valid_to):
                continue
            if column.not_null and not fills_itself:
                yield self._problem(f"column {name} is NOT NULL without a default", "assign it")
        for claimed in load.claimed:
            given = self._file.dialect.type_known_as(self._session, claimed.type)
            found = columns[claimed.name].type
            if given != self._file.dialect.type_known_as(self._session, found):
                yield other_type(load, claimed.name, claimed.type, found)
        if reserved := sorted(RESERVED & columns.keys()):
            yield self._problem(f"column {reserved[0]} has a name that windlass uses itself")

    def _of_words(self) -> Iterator[Problem]:
        load, words = self._load, self._load.words
        columns = {one.name: one for one in all_columns(load)}
        for name in words.key:
            if name not in assigned(load):
                yield self._problem(f"key column {name} is not in the input")
        if words.missing is Missing.MARK:
            mark = columns.get(words.mark)
            if mark is None or mark.kind not in (Kind.BOOLEAN, *_MOMENTS):
                yield self._problem(f"mark column {words.mark!r} is not a boolean or a timestamp")
        if words.history:
            for name in (words.valid_from, words.valid_to):
                if not load.creates and (name not in columns or columns[name].kind not in _MOMENTS):
                    yield self._problem(f"history needs a timestamp column {name}")
            if words.valid_to in assigned(load):
                yield self._problem(f"column {words.valid_to} is set by the history itself")
        if words.last_by and not last_by_column(load):
            yield self._problem(
                f"the last row by {words.last_by} is not known: no column takes this field as it is"
            )
        if load.watermark and column_of_mark(load) is None:
            yield self._problem(f"watermark {load.watermark}: no column takes this field as it is")
        if (words.history or words.missing is Missing.MARK) and not matching_key(load):
            yield self._problem("rows that are closed or marked need a key")

    # the user's SQL

    def _of_sql(self) -> Iterator[Problem]:
        load = self._load
        for one in load.assigned:
            if one.sql:
                yield from self._try(f"column {one.column}", one.sql, self._of_fields())
            elif one.mask is Mask.HASH and not one.field:
                yield self._problem(f"column {one.column}: there is no field to hash")
        if load.words.slice and not load.creates:
            yield from self._try("slice", load.words.slice, table_of(load.table.name), "t")
            yield from self._try("slice", load.words.slice, self._of_assigned(load.assigned))
        for expectation in load.expectations:
            if expectation.kind is Expect.SQL:
                yield from self._try("expect", expectation.sql, self._of_assigned(load.assigned))
            elif expectation.kind is Expect.FOREIGN_KEY:
                yield from self._refers(expectation.refers_to)
            for name in expectation.columns:
                if name not in assigned(load):
                    yield self._problem(f"expect {expectation.kind}: {name} is not loaded")

    def _refers(self, refers_to: str) -> Iterator[Problem]:
        table, _, column = refers_to.rpartition(".")
        name = name_of(table, self._load.table.name.schema)
        if column not in self._file.dialect.columns(self._session, name):
            yield self._problem(f"expect foreign-key: there is no {refers_to}")

    def _of_fields(self) -> sql.Composable:
        """A row of the input, as expressions see it."""
        values = [
            sql.SQL("cast(null as {}) as {}").format(
                self._file.dialect.field_type(self._load, one), names(one.name)
            )
            for one in self._load.fields
        ]
        return sql.SQL("(select {})").format(listed(values or [sql.SQL("1")]))

    def _of_assigned(self, given: Sequence[Assigned]) -> sql.Composable:
        """A row as it would arrive."""
        values = [
            sql.SQL("cast(null as {}) as {}").format(
                self._file.dialect.type_text(one.type), names(one.column)
            )
            for one in given
        ]
        return sql.SQL("(select {})").format(listed(values))

    def _try(
        self, what: str, text: str, item: sql.Composable, alias: str = "s"
    ) -> Iterator[Problem]:
        query = statement(
            "select {text} from {item} as {alias} where 1 = 0",
            text=user_sql(self._file.dialect.own_sql(text)), item=item, alias=names(alias),
        )  # fmt: skip
        fault = self._file.dialect.compiles(self._session, query)
        if fault:
            hint = "a field that goes into no column is text in such SQL"
            yield self._problem(f"{what}: {fault}", hint)
