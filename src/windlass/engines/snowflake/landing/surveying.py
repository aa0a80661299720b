"""Finds what would prevent loads, before anything is written: missing or unsuitable tables, SQL
that Snowflake refuses, and options of a load that are not offered here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from windlass.engines.incoming.shape import all_columns, matching_key
from windlass.engines.landing import other_type
from windlass.engines.snowflake.landing.catalog import canonical, counted_of, read_table
from windlass.engines.snowflake.landing.naming import (
    ALIASES,
    RESERVED,
    name_of,
    table_of,
    user_sql,
)
from windlass.engines.snowflake.landing.staged import last_by_column, seen_as, target_column
from windlass.engines.snowflake.landing.values import can_be
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.load import Assigned, Expect, Load
from windlass.model.load_words import Missing
from windlass.model.mask import Mask
from windlass.model.report import Problem


class Survey:
    """Surveys one load."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session, self._load = session, load

    def problems(self) -> list[Problem]:
        load = self._load
        there = read_table(self._session, load.table.name)
        if there is None and not load.creates:
            return [self._problem("there is no such table")]
        if there is not None and load.creates:
            return [self._problem("the table already exists")]
        if there is not None and there.problems:
            return list(there.problems)
        if found := list(self._not_offered()):
            return found
        found = [*self._of_columns(), *self._of_words()]
        return found or [*self._of_sql()]

    def _problem(self, message: str, hint: str = "") -> Problem:
        return Problem(self._load.name, message, hint)

    def _not_offered(self) -> Iterator[Problem]:
        load, words = self._load, self._load.words
        if load.table.name.name.lower() in ALIASES:
            yield self._problem("a table with this name is not offered", "give it a longer one")
        if words.history:
            hint = "use merge, or keep versions by a stream and a task of Snowflake"
            yield self._problem("history is not offered for Snowflake", hint)
        if words.missing is Missing.MARK:
            hint = "use mirror with missing: delete"
            yield self._problem("marking rows that are missing is not offered for Snowflake", hint)
        if load.adds:
            added = ", ".join(one.name for one in load.adds)
            hint = f"alter table {load.name} add column ...; then load"
            message = f"the table lacks {added}, and a load adds no columns in Snowflake"
            yield self._problem(message, hint)
        if load.bad.keeps_failing:
            hint = "leave it out: the rows are named by record and key"
            yield self._problem("rows that fail expectations are not kept in Snowflake", hint)
        if load.creates or matching_key(load):
            return
        if counted := self._counts_up():
            message = f"column {counted[0]} counts up: without a key it is not known which rows a"
            yield self._problem(f"{message} load has added", "load by a key, or fill the column")

    def _counts_up(self) -> list[str]:
        filled = {one.column for one in self._load.assigned}
        counted = counted_of(self._session, self._load.table.name)
        return [one for one in counted if one not in filled]

    def _of_columns(self) -> Iterator[Problem]:
        load = self._load
        columns = {one.name: one for one in all_columns(load)}
        fields = {one.name for one in load.fields}
        for one in load.assigned:
            if one.column not in columns:
                yield self._problem(f"there is no column {one.column}")
                continue
            if columns[one.column].generated:
                yield self._problem(f"column {one.column} is computed: it cannot be given")
            wanted = target_column(load, one)
            if not can_be(wanted.kind):
                hint = "load into a column of another type, such as VARCHAR"
                yield self._problem(f"column {one.column} is {wanted.type}: not offered", hint)
            if one.field and load.fields and one.field not in fields:
                yield self._problem(f"column {one.column}: the input has no field {one.field}")
        yield from self._unfilled()
        for claimed in load.claimed:
            found = columns[claimed.name].type
            if canonical(claimed.type) != canonical(found):
                yield other_type(load, claimed.name, claimed.type, found)
        if reserved := sorted(RESERVED & columns.keys()):
            yield self._problem(f"column {reserved[0]} has a name that windlass uses itself")

    def _unfilled(self) -> Iterator[Problem]:
        filled = {one.column for one in self._load.assigned}
        for one in all_columns(self._load):
            fills_itself = one.has_default or one.generated or one.name in filled
            if one.not_null and not fills_itself:
                yield self._problem(f"column {one.name} is NOT NULL without a default", "assign it")
            if one.kind is None and not self._load.creates:
                message = f"column {one.name} is {one.type}: an undo could not compare its rows"
                yield self._problem(message, "load into a table without it, and insert from there")

    def _of_words(self) -> Iterator[Problem]:
        load, words = self._load, self._load.words
        filled = {one.column for one in load.assigned}
        for name in words.key:
            if name not in filled:
                yield self._problem(f"key column {name} is not in the input")
        if words.last_by and not last_by_column(load):
            message = "no column takes this field as it is"
            yield self._problem(f"the last row by {words.last_by} is not known: {message}")
        direct = {one.field for one in load.assigned if not one.sql and not one.mask}
        if load.watermark and load.watermark not in direct:
            yield self._problem(f"watermark {load.watermark}: no column takes this field as it is")

    # the user's SQL

    def _of_sql(self) -> Iterator[Problem]:
        load = self._load
        for one in load.assigned:
            if one.sql:
                yield from self._try(f"column {one.column}", one.sql, self._of_fields())
            elif one.mask is Mask.HASH and not one.field:
                yield self._problem(f"column {one.column}: there is no field to hash")
        if load.words.slice and not load.creates:
            yield from self._try("slice", load.words.slice, table_of(load.table.name))
            yield from self._try("slice", load.words.slice, self._of_assigned(load.assigned))
        filled = {one.column for one in load.assigned}
        for expectation in load.expectations:
            if expectation.kind is Expect.SQL:
                yield from self._try("expect", expectation.sql, self._of_assigned(load.assigned))
            elif expectation.kind is Expect.FOREIGN_KEY:
                yield from self._refers(expectation.refers_to)
            for name in expectation.columns:
                if name not in filled:
                    yield self._problem(f"expect {expectation.kind}: {name} is not loaded")

    def _refers(self, refers_to: str) -> Iterator[Problem]:
        table, _, referred = refers_to.rpartition(".")
        try:
            other = read_table(self._session, name_of(table, self._load.table.name.schema))
        except WindlassError:
            other = None
        if other is None or other.column(referred) is None:
            yield self._problem(f"expect foreign-key: there is no {refers_to}")

    def _of_fields(self) -> sql.Composable:
        """A row of the input, as expressions see it."""
        values = [
            sql.SQL("cast(null as {}) as {}").format(
                verbatim(seen_as(self._load, one.name).type), named(one.name)
            )
            for one in self._load.fields
        ]
        return sql.SQL("(select {})").format(listed(values or [sql.SQL("1 as one")]))

    def _of_assigned(self, given: Sequence[Assigned]) -> sql.Composable:
        """A row as it would arrive."""
        values = [
            sql.SQL("cast(null as {}) as {}").format(
                verbatim(target_column(self._load, one).type), named(one.column)
            )
            for one in given
        ]
        return sql.SQL("(select {})").format(listed(values))

    def _try(self, what: str, text: str, item: sql.Composable) -> Iterator[Problem]:
        query = statement(
            "select {text} from {item} as {alias} where 1 = 0",
            text=user_sql(text), item=item, alias=names("S"),
        )  # fmt: skip
        try:
            self._session.run(query, doing=what)
        except WindlassError as error:
            if error.retryable:
                raise
            hint = "a field that goes into no column is text in such SQL"
            yield self._problem(f"{what}: {error}", hint)
