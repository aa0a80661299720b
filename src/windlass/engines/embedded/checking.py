"""Checks what the staged rows break: rules of the key, and the user's expectations. Changes
nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.embedded.arriving import arriving, user_sql
from windlass.engines.embedded.dialect import Dialect, Session, fetch
from windlass.engines.embedded.names import (
    INPUT,
    RECORD,
    staged_rows,
    table_of,
)
from windlass.engines.incoming.shape import assigned, column_of, matching_key
from windlass.engines.statements import each, listed, names, statement, verbatim
from windlass.model.load import Expect, Expectation, Finding, Load
from windlass.model.load_words import Duplicates
from windlass.model.relation import Name

MOST_SHOWN = 20  # keys of a finding


@dataclass(frozen=True, slots=True)
class Broken:
    """What is broken, and the FROM clause of the rows `s` that break it."""

    finding: Finding
    rows: str = ""  # empty if it is not about single rows
    given: Sequence[Any] = ()  # its parameters


@dataclass(frozen=True, slots=True)
class Checking:
    """One load, whose rows are staged."""

    session: Session
    dialect: Dialect
    load: Load
    inputs: dict[int, str]  # their locations, by number

    def broken(self) -> list[Broken]:
        return [*self.of_key(), *self._of_slice(), *self._of_expectations()]

    def of_key(self) -> Iterator[Broken]:
        """NULL and doubled keys."""
        key = matching_key(self.load)
        if key:
            missing = each("{} is null", [names("s", one) for one in key], " or ")
            yield from self._failing(Expectation(Expect.NOT_NULL, key), missing, staged_rows())
        tells = key or self.load.table.primary
        refuses = not key or self.load.words.duplicates is Duplicates.REFUSE
        if tells and refuses and set(tells) <= set(assigned(self.load)):
            yield from self._unique(Expectation(Expect.UNIQUE, tells), staged_rows())

    def _of_slice(self) -> Iterator[Broken]:
        """Rows outside the slice: the next load of the slice would not find them."""
        if self.load.words.slice:
            text = self.load.words.slice
            outside = sql.SQL("not coalesce({}, false)").format(self._user(text))
            yield from self._failing(Expectation(Expect.SQL, sql=text), outside)

    def _of_expectations(self) -> Iterator[Broken]:
        for one in self.load.expectations:
            match one.kind:
                case Expect.UNIQUE:
                    yield from self._unique(one, arriving(self.load))
                case Expect.ROWS:
                    yield from self._rows(one)
                case _:
                    given: list[Any] = []
                    breaks = self._breaks(one, given)
                    yield from self._failing(one, breaks, given=given)

    def _breaks(self, one: Expectation, given: list[Any]) -> sql.Composable:
        """The condition for rows `s` that break an expectation; its parameters are added to
        `given`."""
        columns = [names("s", column) for column in one.columns]
        match one.kind:
            case Expect.NOT_NULL:
                return each("{} is null", columns, " or ")
            case Expect.RANGE:
                return listed(self._outside(one, given) or [sql.SQL("1 = 0")], " or ")
            case Expect.ACCEPTED:
                return listed([self._other(one, column, given) for column in one.columns], " or ")
            case Expect.FOREIGN_KEY:
                return listed([self._dangling(one, column) for column in one.columns], " or ")
            case _:
                return sql.SQL("not coalesce({}, true)").format(self._user(one.sql))

    def _outside(self, one: Expectation, given: list[Any]) -> list[sql.Composable]:
        parts = []
        for column in one.columns:
            if one.low:
                parts.append(self._against("{} < {}", column, one.low, given))
            if one.high:
                parts.append(self._against("{} > {}", column, one.high, given))
        return parts

    def _other(self, one: Expectation, column: str, given: list[Any]) -> sql.Composable:
        marks = [self._given(column, text, given) for text in one.accepted]
        return sql.SQL("({0} is not null and {0} not in ({1}))").format(
            names("s", column), listed(marks or [sql.SQL("null")])
        )

    def _against(
        self, how: LiteralString, column: str, bound: str, given: list[Any]
    ) -> sql.Composable:
        return sql.SQL(how).format(names("s", column), self._given(column, bound, given))

    def _given(self, column: str, text: str, given: list[Any]) -> sql.Composable:
        found = column_of(self.load, column)
        given.append(self.dialect.given(found, text))
        return self.dialect.typed(found)

    def _dangling(self, one: Expectation, column: str) -> sql.Composable:
        table, _, referred = one.refers_to.rpartition(".")
        name = Name.read(table) if "." in table else Name(self.load.table.name.schema, table)
        there: sql.Composable = sql.SQL("select {} as r from {}").format(
            names(referred), table_of(name)
        )
        if name == self.load.table.name and referred in assigned(self.load):
            there = sql.SQL("{} union all select {} from {}").format(
                there, names(referred), staged_rows()
            )
        return sql.SQL(
            "({0} is not null and {0} not in (select r from ({1}) as f where r is not null))"
        ).format(names("s", column), there)

    def _user(self, text: str) -> sql.Composable:
        return user_sql(self.dialect.own_sql(text))

    # what is found

    def _failing(
        self,
        one: Expectation,
        breaks: sql.Composable,
        item: sql.Composable | None = None,
        given: Sequence[Any] = (),
    ) -> Iterator[Broken]:
        query = self._text("from {item} as s where {breaks}", item or arriving(self.load), breaks)
        (rows,) = fetch(self.session, "select count(*) " + query, given)[0]
        if rows:
            yield Broken(Finding(one, rows, self._keys(query, given)), query, given)

    def _unique(self, one: Expectation, item: sql.Composable) -> Iterator[Broken]:
        columns = [names("s", column) for column in one.columns]
        breaks = sql.SQL(
            "{filled} and ({columns}) in (select {columns} from {item} as s where {filled}"
            " group by {columns} having count(*) > 1)"
        ).format(
            columns=listed(columns), item=item,
            filled=each("{} is not null", columns, " and "),
        )  # fmt: skip
        yield from self._failing(one, breaks, item)

    def _rows(self, one: Expectation) -> Iterator[Broken]:
        query = statement("select count(*) from {item} as s", item=arriving(self.load))
        (rows,) = fetch(self.session, query)[0]
        if (one.low and rows < int(one.low)) or (one.high and rows > int(one.high)):
            yield Broken(Finding(one, rows))

    def _text(self, template: LiteralString, item: sql.Composable, breaks: sql.Composable) -> str:
        return statement(template, item=item, breaks=breaks)

    def _keys(self, query: str, given: Sequence[Any]) -> tuple[str, ...]:
        key = matching_key(self.load)
        columns = [names("s", one) for one in (INPUT, RECORD, *key)]
        text = statement(
            "select distinct {columns} {query} order by 1, 2 limit {most}",
            columns=listed(columns), query=verbatim(query), most=sql.Literal(MOST_SHOWN),
        )  # fmt: skip
        found = []
        for number, record, *values in fetch(self.session, text, given):
            where = f"{self.inputs.get(number, '')}: record {record:,}"
            found.append(f"{key_text(key, values)} ({where})" if key else where)
        return tuple(dict.fromkeys(found))


def key_text(key: Sequence[str], values: Sequence[Any]) -> str:
    """For people: ``id = 5, kind = a``."""
    pairs = zip(key, values, strict=True)
    return ", ".join(f"{name} = {'NULL' if one is None else one}" for name, one in pairs)
