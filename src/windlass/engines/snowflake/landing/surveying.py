"""Finds what would prevent loads, before anything is written: missing or unsuitable tables, SQL
that Snowflake refuses, and options of a load that are not offered here."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from windlass.engines.incoming.names import name_of, user_sql
from windlass.engines.incoming.shape import matching_key
from windlass.engines.incoming.surveying import Survey, no_value
from windlass.engines.snowflake.landing.catalog import canonical, counted_of, read_table
from windlass.engines.snowflake.landing.naming import ALIASES, RESERVED, table_of
from windlass.engines.snowflake.landing.staged import seen_as, target_column
from windlass.engines.snowflake.landing.values import can_be
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import names, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.load import Assigned, Field, Load, Table, TableColumn
from windlass.model.load_words import Missing
from windlass.model.report import Problem


class SnowflakeSurvey(Survey):
    """Surveys one load."""

    reserved = RESERVED

    def __init__(self, session: Session, load: Load) -> None:
        super().__init__(load)
        self._session = session

    def _described(self) -> Table | None:
        return read_table(self._session, self._load.table.name)

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

    def _of_value(self, one: Assigned) -> Iterator[Problem]:
        wanted = target_column(self._load, one)
        if not can_be(wanted.kind):
            hint = "load into a column of another type, such as VARCHAR"
            yield self._problem(f"column {one.column} is {wanted.type}: not offered", hint)

    def _of_column(self, column: TableColumn) -> Iterator[Problem]:
        if column.kind is None and not self._load.creates:
            message = f"column {column.name} is {column.type}: an undo could not compare its rows"
            yield self._problem(message, "load into a table without it, and insert from there")

    def _known_as(self, type_: str) -> str:
        return canonical(type_)

    def _has_column(self, table: str, column: str) -> bool:
        try:
            other = read_table(self._session, name_of(table, self._load.table.name.schema))
        except WindlassError:
            return False
        return other is not None and other.column(column) is not None

    def _no_field(self, field: Field) -> sql.Composable:
        return no_value(verbatim(seen_as(self._load, field.name).type), named(field.name))

    def _no_value(self, one: Assigned) -> sql.Composable:
        return no_value(verbatim(target_column(self._load, one).type), named(one.column))

    def _itself(self) -> sql.Composable:
        return sql.SQL("{} as {}").format(table_of(self._load.table.name), names("S"))

    def _row(self, values: sql.Composable) -> sql.Composable:
        return sql.SQL("(select {}) as {}").format(values, names("S"))

    def _fault(self, what: str, text: str, item: sql.Composable) -> str:
        query = statement("select {text} from {item} where 1 = 0", text=user_sql(text), item=item)
        try:
            self._session.run(query, doing=what)
        except WindlassError as error:
            if error.retryable:
                raise
            return str(error)
        return ""
