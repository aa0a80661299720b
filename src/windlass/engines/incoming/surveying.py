"""Finds what would prevent a load, before anything is written: a missing or unsuitable table, and
SQL that the engine refuses. How the engine is asked is left to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from psycopg import sql

from windlass.engines.incoming.shape import (
    all_columns,
    assigned,
    last_by_column,
    matching_key,
)
from windlass.engines.landing import other_type
from windlass.engines.statements import listed
from windlass.model.export import Kind
from windlass.model.load import Assigned, Expect, Field, Load, Table, TableColumn
from windlass.model.load_words import Missing
from windlass.model.mask import Mask
from windlass.model.report import Problem

_MOMENTS = (Kind.TIMESTAMP, Kind.INSTANT, Kind.DATE)


class Survey(ABC):
    """Surveys one load."""

    reserved: ClassVar[frozenset[str]]  # columns of staged rows and before-images

    def __init__(self, load: Load) -> None:
        self._load = load

    # what the engine does differently

    @abstractmethod
    def _described(self) -> Table | None:
        """The table; None if it does not exist."""

    @abstractmethod
    def _has_column(self, table: str, column: str) -> bool:
        """Whether there is a table with this column."""

    @abstractmethod
    def _known_as(self, type_: str) -> str:
        """A type as the catalog writes it."""

    @abstractmethod
    def _no_field(self, field: Field) -> sql.Composable:
        """A NULL with a field's name, and its type as expressions see it."""

    @abstractmethod
    def _no_value(self, one: Assigned) -> sql.Composable:
        """A NULL with a column's name and type."""

    @abstractmethod
    def _itself(self) -> sql.Composable:
        """The table as a FROM item, with the alias that expressions may use."""

    @abstractmethod
    def _row(self, values: sql.Composable) -> sql.Composable:
        """A row with these values as a FROM item `s`."""

    @abstractmethod
    def _fault(self, what: str, text: str, item: sql.Composable) -> str:
        """Why the engine refuses an expression over this FROM item; empty if it does not."""

    def _not_offered(self) -> Iterable[Problem]:
        """Options of a load that the engine does not offer."""
        return ()

    def _of_value(self, one: Assigned) -> Iterable[Problem]:
        """Further problems of a column that the load fills."""
        return ()

    def _of_column(self, column: TableColumn) -> Iterable[Problem]:
        """Further problems of a column of the table."""
        return ()

    def _of_rest(self) -> Iterable[Problem]:
        """What else only the engine knows, looked at if nothing else is wrong."""
        return ()

    # what is common

    def problems(self) -> list[Problem]:
        load, there = self._load, self._described()
        if there is None and not load.creates:
            return [self._problem("there is no such table")]
        if there is not None and load.creates:
            return [self._problem("the table already exists")]
        if there is not None and there.problems:
            return list(there.problems)
        if found := list(self._not_offered()):
            return found
        if found := [*self._of_columns(), *self._of_words()]:
            return found
        return [*self._of_sql(), *self._of_rest()]

    def _problem(self, message: str, hint: str = "") -> Problem:
        return Problem(self._load.name, message, hint)

    def _of_columns(self) -> Iterator[Problem]:
        load = self._load
        columns = {one.name: one for one in all_columns(load)}
        fields = {one.name for one in load.fields}
        for one in load.assigned:
            if one.column not in columns:
                yield self._problem(f"there is no column {one.column}")
            else:
                if columns[one.column].generated:
                    yield self._problem(f"column {one.column} is computed: it cannot be given")
                yield from self._of_value(one)
            if one.field and load.fields and one.field not in fields:
                yield self._problem(f"column {one.column}: the input has no field {one.field}")
        yield from self._unfilled()
        for claimed in load.claimed:
            found = columns[claimed.name].type
            if self._known_as(claimed.type) != self._known_as(found):
                yield other_type(load, claimed.name, claimed.type, found)
        if reserved := sorted(self.reserved & columns.keys()):
            yield self._problem(f"column {reserved[0]} has a name that windlass uses itself")

    def _unfilled(self) -> Iterator[Problem]:
        words, filled = self._load.words, set(assigned(self._load))
        if words.history:
            filled |= {words.valid_from, words.valid_to}
        for one in all_columns(self._load):
            fills_itself = one.has_default or one.generated or one.name in filled
            if one.not_null and not fills_itself:
                yield self._problem(f"column {one.name} is NOT NULL without a default", "assign it")
            yield from self._of_column(one)

    def _of_words(self) -> Iterator[Problem]:
        load, words = self._load, self._load.words
        for name in words.key:
            if name not in assigned(load):
                yield self._problem(f"key column {name} is not in the input")
        yield from self._of_mark()
        if words.history:
            yield from self._of_history()
        if words.last_by and not last_by_column(load):
            yield self._problem(
                f"the last row by {words.last_by} is not known: no column takes this field as it is"
            )
        direct = {one.field for one in load.assigned if not one.sql and not one.mask}
        if load.watermark and load.watermark not in direct:
            yield self._problem(f"watermark {load.watermark}: no column takes this field as it is")
        if (words.history or words.missing is Missing.MARK) and not matching_key(load):
            yield self._problem("rows that are closed or marked need a key")

    def _of_mark(self) -> Iterator[Problem]:
        words = self._load.words
        if words.missing is Missing.MARK:
            columns = {one.name: one for one in all_columns(self._load)}
            mark = columns.get(words.mark)
            if mark is None or mark.kind not in (Kind.BOOLEAN, *_MOMENTS):
                yield self._problem(f"mark column {words.mark!r} is not a boolean or a timestamp")

    def _of_history(self) -> Iterator[Problem]:
        load, words = self._load, self._load.words
        columns = {one.name: one for one in all_columns(load)}
        for name in (words.valid_from, words.valid_to):
            if not load.creates and (name not in columns or columns[name].kind not in _MOMENTS):
                yield self._problem(f"history needs a timestamp column {name}")
        if words.valid_to in assigned(load):
            yield self._problem(f"column {words.valid_to} is set by the history itself")

    # the user's SQL

    def _of_sql(self) -> Iterator[Problem]:
        load = self._load
        for one in load.assigned:
            if one.sql:
                yield from self._try(f"column {one.column}", one.sql, self._of_fields())
            elif one.mask is Mask.HASH and not one.field:
                yield self._problem(f"column {one.column}: there is no field to hash")
        if load.words.slice and not load.creates:
            yield from self._try("slice", load.words.slice, self._itself())
            yield from self._try("slice", load.words.slice, self._of_assigned())
        for expectation in load.expectations:
            if expectation.kind is Expect.SQL:
                yield from self._try("expect", expectation.sql, self._of_assigned())
            elif expectation.kind is Expect.FOREIGN_KEY:
                yield from self._refers(expectation.refers_to)
            for name in expectation.columns:
                if name not in assigned(load):
                    yield self._problem(f"expect {expectation.kind}: {name} is not loaded")

    def _refers(self, refers_to: str) -> Iterator[Problem]:
        table, _, column = refers_to.rpartition(".")
        if not self._has_column(table, column):
            yield self._problem(f"expect foreign-key: there is no {refers_to}")

    def _of_fields(self) -> sql.Composable:
        """A row of the input, as expressions see it."""
        values = [self._no_field(one) for one in self._load.fields]
        return self._row(listed(values or [sql.SQL("1 as one")]))

    def _of_assigned(self) -> sql.Composable:
        """A row as it would arrive."""
        return self._row(listed(map(self._no_value, self._load.assigned)))

    def _try(self, what: str, text: str, item: sql.Composable) -> Iterator[Problem]:
        if fault := self._fault(what, text, item):
            hint = "a field that goes into no column is text in such SQL"
            yield self._problem(f"{what}: {fault}", hint)


def no_value(type_: sql.Composable, name: sql.Composable) -> sql.Composable:
    """A NULL of a type, under a name."""
    return sql.SQL("cast(null as {}) as {}").format(type_, name)
