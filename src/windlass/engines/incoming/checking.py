"""Checks what the rows of a load break: rules of the key, and the user's expectations. Changes
nothing. How the engine names rows, and finds doubled ones, is left to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.incoming.names import INPUT, RECORD, name_of
from windlass.engines.incoming.shape import assigned, matching_key
from windlass.engines.statements import each, listed, statement, verbatim
from windlass.errors import Refused
from windlass.model.load import Expect, Expectation, Finding, Load
from windlass.model.load_words import Duplicates
from windlass.model.relation import Name
from windlass.model.report import Problem

_MOST_SHOWN = 20  # keys of a finding


@dataclass(frozen=True, slots=True)
class Broken:
    """What is broken, and the FROM clause of the rows `s` that break it."""

    finding: Finding
    rows: str = ""  # empty if it is not about single rows
    given: Sequence[Any] = ()  # its parameters


@dataclass(frozen=True)
class Checking(ABC):
    """One load, whose rows are staged."""

    load: Load
    inputs: Mapping[int, str]  # their locations, by number

    # what the engine does differently

    @abstractmethod
    def _column(self, name: str) -> sql.Composable:
        """A column in a statement."""

    @abstractmethod
    def _of_row(self, name: str) -> sql.Composable:
        """A column of a row `s`."""

    @abstractmethod
    def _table(self, name: Name) -> sql.Composable: ...

    @abstractmethod
    def _staged(self) -> sql.Composable:
        """All staged rows, as a FROM item without an alias."""

    @abstractmethod
    def _arriving(self) -> sql.Composable:
        """Those that will arrive in the table."""

    @abstractmethod
    def _expression(self, text: str) -> sql.Composable:
        """The user's, over a row `s`."""

    @abstractmethod
    def _given(self, column: str, text: str, given: list[Any]) -> sql.Composable:
        """A value for a column: a parameter, which is added to `given`."""

    @abstractmethod
    def _is_doubled(self, columns: Sequence[str], item: sql.Composable) -> sql.Composable:
        """The condition for rows `s` whose values in these columns others of the FROM item have."""

    @abstractmethod
    def _fetch(self, query: str, given: Sequence[Any] = ()) -> Iterable[Sequence[Any]]: ...

    # what is common

    def broken(self) -> list[Broken]:
        return [*self._of_key(), *self._of_slice(), *self._of_expectations()]

    def refuse_keys(self) -> None:
        """Raises:
        Refused: rows have no key, or the same.
        """
        if broken := list(self._of_key()):
            raise Refused([
                Problem(self.load.name, f"{one.finding.rows:,} rows break"
                        f" {one.finding.expectation.described}", "nothing was loaded")
                for one in broken
            ])  # fmt: skip

    def _of_key(self) -> Iterator[Broken]:
        """NULL and doubled keys."""
        key = matching_key(self.load)
        if key:
            missing = each("{} is null", map(self._of_row, key), " or ")
            yield from self._failing(Expectation(Expect.NOT_NULL, key), missing, self._staged())
        tells = key or self.load.table.primary
        refuses = not key or self.load.words.duplicates is Duplicates.REFUSE
        if tells and refuses and set(tells) <= set(assigned(self.load)):
            yield from self._unique(Expectation(Expect.UNIQUE, tells), self._staged())

    def _of_slice(self) -> Iterator[Broken]:
        """Rows outside the slice: the next load of the slice would not find them."""
        if text := self.load.words.slice:
            outside = sql.SQL("not coalesce({}, false)").format(self._expression(text))
            yield from self._failing(Expectation(Expect.SQL, sql=text), outside)

    def _of_expectations(self) -> Iterator[Broken]:
        for one in self.load.expectations:
            match one.kind:
                case Expect.UNIQUE:
                    yield from self._unique(one, self._arriving())
                case Expect.ROWS:
                    yield from self._number(one)
                case _:
                    given: list[Any] = []
                    breaks = self._breaks(one, given)
                    yield from self._failing(one, breaks, given=given)

    def _breaks(self, one: Expectation, given: list[Any]) -> sql.Composable:
        """The condition for rows `s` that break an expectation; its parameters are added to
        `given`."""
        match one.kind:
            case Expect.NOT_NULL:
                return each("{} is null", map(self._of_row, one.columns), " or ")
            case Expect.RANGE:
                return listed(self._outside(one, given) or [sql.SQL("1 = 0")], " or ")
            case Expect.ACCEPTED:
                return listed([self._other(one, column, given) for column in one.columns], " or ")
            case Expect.FOREIGN_KEY:
                return listed([self._dangling(one, column) for column in one.columns], " or ")
            case _:
                return sql.SQL("not coalesce({}, true)").format(self._expression(one.sql))

    def _outside(self, one: Expectation, given: list[Any]) -> list[sql.Composable]:
        return [
            sql.SQL("{} {} {}").format(
                self._of_row(column), verbatim(than), self._given(column, bound, given)
            )
            for column in one.columns
            for than, bound in (("<", one.low), (">", one.high))
            if bound
        ]

    def _other(self, one: Expectation, column: str, given: list[Any]) -> sql.Composable:
        marks = [self._given(column, text, given) for text in one.accepted]
        return sql.SQL("({0} is not null and {0} not in ({1}))").format(
            self._of_row(column), listed(marks or [sql.SQL("null")])
        )

    def _dangling(self, one: Expectation, column: str) -> sql.Composable:
        table, _, referred = one.refers_to.rpartition(".")
        name = name_of(table, self.load.table.name.schema)
        there: sql.Composable = sql.SQL("select {} as r from {}").format(
            self._column(referred), self._table(name)
        )
        if name == self.load.table.name and referred in assigned(self.load):
            there = sql.SQL("{} union all select {} from {}").format(
                there, self._column(referred), self._staged()
            )
        return sql.SQL(
            "({0} is not null and {0} not in (select r from ({1}) as f where r is not null))"
        ).format(self._of_row(column), there)

    # what is found

    def _failing(
        self,
        one: Expectation,
        breaks: sql.Composable,
        item: sql.Composable | None = None,
        given: Sequence[Any] = (),
    ) -> Iterator[Broken]:
        query = statement(
            "from {item} as s where {breaks}", item=item or self._arriving(), breaks=breaks
        )
        ((rows,),) = self._fetch("select count(*) " + query, given)
        if rows:
            yield Broken(Finding(one, int(rows), self._keys(query, given)), query, given)

    def _unique(self, one: Expectation, item: sql.Composable) -> Iterator[Broken]:
        yield from self._failing(one, self._is_doubled(one.columns, item), item)

    def _number(self, one: Expectation) -> Iterator[Broken]:
        query = statement("select count(*) from {item} as s", item=self._arriving())
        ((found,),) = self._fetch(query)
        rows = int(found)
        if (one.low and rows < int(one.low)) or (one.high and rows > int(one.high)):
            yield Broken(Finding(one, rows))

    def _keys(self, query: str, given: Sequence[Any]) -> tuple[str, ...]:
        key = matching_key(self.load)
        text = statement(
            "select distinct {columns} {query} order by 1, 2 limit {most}",
            columns=listed(map(self._of_row, (INPUT, RECORD, *key))), query=verbatim(query),
            most=sql.Literal(_MOST_SHOWN),
        )  # fmt: skip
        found = []
        for number, record, *values in self._fetch(text, given):
            where = f"{self.inputs.get(int(number), '')}: record {int(record):,}"
            found.append(f"{key_text(key, values)} ({where})" if key else where)
        return tuple(dict.fromkeys(found))


def key_text(key: Sequence[str], values: Sequence[Any]) -> str:
    """For people: ``id = 5, kind = a``."""
    pairs = zip(key, values, strict=True)
    return ", ".join(f"{name} = {'NULL' if one is None else one}" for name, one in pairs)
