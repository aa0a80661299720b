"""The staged rows of a load: which columns they have, and how they will arrive in the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.incoming.names import INPUT, NUMBER, RECORD, user_sql
from windlass.engines.incoming.shape import (
    all_columns,
    column_of,
    field_column,
    last_by_column,
    matching_key,
)
from windlass.engines.snowflake.landing.catalog import column
from windlass.engines.snowflake.landing.naming import beside, part
from windlass.engines.snowflake.names import named
from windlass.engines.statements import each, listed, names, statement, verbatim
from windlass.model.digest import digest
from windlass.model.load import Assigned, Load, TableColumn
from windlass.model.load_words import Duplicates

_TEXT = "VARCHAR(16777216)"


@dataclass(frozen=True, slots=True)
class Kept:
    """A column of the staged rows: of a field that goes into a column, or that expressions read."""

    name: str  # among the staged rows
    field: str
    wanted: TableColumn


def target_column(load: Load, one: Assigned) -> TableColumn:
    """What a value is converted for."""
    return column(one.column, one.type) if load.creates else column_of(load, one.column)


def kept(load: Load) -> list[Kept]:
    found = [
        Kept(f"C{at}", one.field, target_column(load, one))
        for at, one in enumerate(load.assigned)
        if one.field and not one.sql and not one.mask
    ]
    if any(one.sql for one in load.assigned):
        found += [
            Kept(f"F{at}", one.name, seen_as(load, one.name)) for at, one in enumerate(load.fields)
        ]
    return found


def seen_as(load: Load, field: str) -> TableColumn:
    """The type of a field in expressions: that of the column that it goes into or that has its
    name, otherwise text."""
    found = None if load.creates and not load.table.columns else field_column(load, field)
    if found is None:
        direct = [one for one in load.assigned if one.field == field and not one.sql]
        found = target_column(load, direct[0]) if direct and load.creates else None
    return found or column(field, _TEXT)


def staged_table(run: str, load: Load) -> sql.Identifier:
    return beside(load.table.name, "stage", run, load.name)


def undo_table(run: str, load: Load) -> sql.Identifier:
    return beside(load.table.name, "undo", run, load.name)


def make_staged(run: str, load: Load) -> str:
    columns = [sql.SQL("{} NUMBER(38,0)").format(named(one)) for one in (NUMBER, INPUT, RECORD)] + [
        sql.SQL("{} {}").format(names(one.name), verbatim(one.wanted.type)) for one in kept(load)
    ]
    return statement(
        "create table if not exists {table} ({columns})",
        table=staged_table(run, load), columns=listed(columns),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arriving:
    """The temporary table of the rows as they will be in the table, with all of its columns: also
    those that their defaults fill, so that it is known what arrived."""

    run: str
    load: Load

    @property
    def table(self) -> sql.Identifier:
        return names(f"_WINDLASS_ROWS_{digest(self.run, self.load.name)[:12].upper()}")

    @property
    def source(self) -> sql.Identifier:
        return staged_table(self.run, self.load)

    def columns(self, defaults: Mapping[str, str]) -> list[str]:
        """All columns that rows get."""
        filled = [one.column for one in self.load.assigned]
        others = (one for one in all_columns(self.load) if one.name not in filled)
        return [*filled, *(one.name for one in others if one.name in defaults)]

    def make(self, defaults: Mapping[str, str]) -> str:
        """Defines a table: call it outside of transactions."""
        values = [
            sql.SQL("{}::{} as {}").format(value, verbatim(type_), named(name))
            for name, type_, value in self._values(defaults)
        ]
        head = [part("s", one) for one in (NUMBER, INPUT, RECORD)]
        item: sql.Composable = sql.SQL("select {} from {} as s").format(
            listed([*head, *values]), self._fields()
        )
        key = matching_key(self.load)
        if key and self.load.words.duplicates is Duplicates.LAST:
            item = self._last(item, key)
        return statement(
            "create or replace temporary table {table} as {item}", table=self.table, item=item
        )

    def _values(self, defaults: Mapping[str, str]) -> list[tuple[str, str, sql.Composable]]:
        made: list[tuple[str, str, sql.Composable]] = []
        for at, one in enumerate(self.load.assigned):
            value: sql.Composable = sql.SQL("null")
            if one.sql:
                value = user_sql(one.sql)
            elif one.field and not one.mask:
                value = sql.SQL("s.{}").format(names(f"C{at}"))
            made.append((one.column, target_column(self.load, one).type, value))
        filled = {one.column for one in self.load.assigned}
        made += [
            (one.name, one.type, user_sql(defaults[one.name]))
            for one in all_columns(self.load)
            if one.name not in filled and one.name in defaults
        ]
        return made

    def _fields(self) -> sql.Composable:
        """The staged rows, with fields by the names that expressions know."""
        fields = [one for one in kept(self.load) if one.name.startswith("F")]
        if not fields:
            return self.source
        directly = [names(one.name) for one in kept(self.load) if one.name.startswith("C")]
        head = [named(one) for one in (NUMBER, INPUT, RECORD)]
        renamed = [sql.SQL("{} as {}").format(names(one.name), named(one.field)) for one in fields]
        return sql.SQL("(select {} from {})").format(
            listed([*head, *directly, *renamed]), self.source
        )

    def changed(self) -> str:
        """Counts values of expressions that their columns would change."""
        tests = [
            sql.SQL("({0} is not null and {0}::{1} is distinct from {0})").format(
                user_sql(one.sql), verbatim(target_column(self.load, one).type)
            )
            for one in self.load.assigned
            if one.sql
        ]
        return statement(
            "select count(*) from {item} as s where {tests}",
            item=self._fields(), tests=listed(tests or [sql.SQL("1 = 0")], " or "),
        )  # fmt: skip

    def _last(self, item: sql.Composable, key: tuple[str, ...]) -> sql.Composable:
        order: list[sql.Composable] = [sql.SQL("{} desc").format(named(NUMBER))]
        if by := last_by_column(self.load):
            order.insert(0, sql.SQL("{} desc nulls last").format(named(by)))
        return sql.SQL(
            "select * from ({}) as r qualify row_number() over (partition by {} order by {}) = 1"
            " or {}"  # rows without a key are refused, and counted
        ).format(
            item,
            each("{}", map(named, key)),
            listed(order),
            each("{} is null", map(named, key), " or "),
        )
