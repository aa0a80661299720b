"""Checks what the arriving rows break: rules of the key, and the user's expectations. Changes
nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.embedded.checking import MOST_SHOWN, key_text
from windlass.engines.incoming.shape import matching_key
from windlass.engines.snowflake.landing.catalog import canonical
from windlass.engines.snowflake.landing.naming import (
    INPUT,
    RECORD,
    name_of,
    part,
    table_of,
    user_sql,
)
from windlass.engines.snowflake.landing.staged import Arriving, target_column
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Fetched, Session
from windlass.engines.statements import each, listed, statement, verbatim
from windlass.model.load import Assigned, Expect, Expectation, Finding, Load
from windlass.model.load_words import Duplicates


@dataclass(frozen=True, slots=True)
class Checking:
    """One load, whose arriving rows are made."""

    session: Session
    load: Load
    arriving: Arriving
    inputs: Mapping[int, str]  # their places, by number

    def broken(self) -> list[Finding]:
        return [*self.of_key(), *self._of_slice(), *self._of_expectations()]

    def of_key(self) -> Iterator[Finding]:
        """NULL and doubled keys. Snowflake does not enforce a primary key: a load does."""
        key, filled = matching_key(self.load), {one.column for one in self.load.assigned}
        if key:
            missing = each("{} is null", [part("s", one) for one in key], " or ")
            yield from self._failing(Expectation(Expect.NOT_NULL, key), missing)
        tells = key or self.load.table.primary
        refuses = not key or self.load.words.duplicates is Duplicates.REFUSE
        if tells and refuses and set(tells) <= filled:
            yield from self._unique(Expectation(Expect.UNIQUE, tells))

    def _of_slice(self) -> Iterator[Finding]:
        """Rows outside the slice: the next load of the slice would not find them."""
        if text := self.load.words.slice:
            outside = sql.SQL("not coalesce({}, false)").format(user_sql(text))
            yield from self._failing(Expectation(Expect.SQL, sql=text), outside)

    def _of_expectations(self) -> Iterator[Finding]:
        for one in self.load.expectations:
            if one.kind is Expect.UNIQUE:
                yield from self._unique(one)
            elif one.kind is Expect.ROWS:
                yield from self._rows(one)
            else:
                given: list[str] = []
                yield from self._failing(one, self._breaks(one, given), given=given)

    def _breaks(self, one: Expectation, given: list[str]) -> sql.Composable:
        """The condition for rows `s` that break an expectation; its parameters go to `given`."""
        parts: list[sql.Composable]
        match one.kind:
            case Expect.NOT_NULL:
                parts = [sql.SQL("{} is null").format(part("s", name)) for name in one.columns]
            case Expect.RANGE:
                bounds = (("<", one.low), (">", one.high))
                parts = [
                    sql.SQL("{} {} {}").format(
                        part("s", name), verbatim(than), self._given(name, bound, given)
                    )
                    for name in one.columns
                    for than, bound in bounds
                    if bound
                ]
            case Expect.ACCEPTED:
                parts = [self._other(one, name, given) for name in one.columns]
            case Expect.FOREIGN_KEY:
                parts = [self._dangling(one, name) for name in one.columns]
            case _:
                return sql.SQL("not coalesce({}, true)").format(user_sql(one.sql))
        return listed(parts or [sql.SQL("1 = 0")], " or ")

    def _given(self, name: str, text: str, given: list[str]) -> sql.Composable:
        """A parameter with this text, of the column's type. Numbers stay as precise as given."""
        column = target_column(self.load, _assigned(self.load, name))
        given.append(text)
        type_ = canonical(column.type)
        if type_.startswith("NUMBER"):
            whole = "NUMBER(38,0)" if text.lstrip("+-").isdigit() else "NUMBER(38,12)"
            type_ = "FLOAT" if "e" in text.lower() else whole
        return sql.SQL("cast(? as {})").format(verbatim(type_))

    def _other(self, one: Expectation, name: str, given: list[str]) -> sql.Composable:
        marks = [self._given(name, text, given) for text in one.accepted]
        return sql.SQL("({0} is not null and {0} not in ({1}))").format(
            part("s", name), listed(marks or [sql.SQL("null")])
        )

    def _dangling(self, one: Expectation, name: str) -> sql.Composable:
        table, _, referred = one.refers_to.rpartition(".")
        other = name_of(table, self.load.table.name.schema)
        there: sql.Composable = sql.SQL("select {} as r from {}").format(
            named(referred), table_of(other)
        )
        filled = {each_.column for each_ in self.load.assigned}
        if other == self.load.table.name and referred in filled:
            there = sql.SQL("{} union all select {} from {}").format(
                there, named(referred), self.arriving.table
            )
        return sql.SQL(
            "({0} is not null and {0} not in (select r from ({1}) as f where r is not null))"
        ).format(part("s", name), there)

    # what is found

    def _failing(
        self,
        one: Expectation,
        breaks: sql.Composable,
        given: Sequence[str] = (),
    ) -> Iterator[Finding]:
        query = statement(
            "from {item} as s where {breaks}", item=self.arriving.table, breaks=breaks
        )
        ((rows,),) = self._run("select count(*) " + query, given)
        if rows:
            yield Finding(one, int(rows), self._keys(query, given))

    def _unique(self, one: Expectation) -> Iterator[Finding]:
        columns = [part("s", name) for name in one.columns]
        doubled = [part("d", name) for name in one.columns]
        same = listed(
            (sql.SQL("{} = {}").format(*pair) for pair in zip(doubled, columns, strict=True)),
            " and ",
        )
        breaks = sql.SQL(
            "exists (select 1 from (select {bare} from {item} where {filled} group by {bare}"
            " having count(*) > 1) as d where {same})"
        ).format(
            bare=listed(named(name) for name in one.columns), item=self.arriving.table, same=same,
            filled=each("{} is not null", map(named, one.columns), " and "),
        )  # fmt: skip
        yield from self._failing(one, breaks)

    def _rows(self, one: Expectation) -> Iterator[Finding]:
        query = statement("select count(*) from {item}", item=self.arriving.table)
        rows = int(self._run(query)[0][0])
        if (one.low and rows < int(one.low)) or (one.high and rows > int(one.high)):
            yield Finding(one, rows)

    def _keys(self, query: str, given: Sequence[str]) -> tuple[str, ...]:
        key = matching_key(self.load)
        text = statement(
            "select distinct {columns} {query} order by 1, 2 limit {most}",
            columns=listed(part("s", one) for one in (INPUT, RECORD, *key)),
            query=verbatim(query), most=sql.Literal(MOST_SHOWN),
        )  # fmt: skip
        found = []
        for number, record, *values in self._run(text, given):
            where = f"{self.inputs.get(int(number), '')}: record {int(record):,}"
            found.append(f"{key_text(key, values)} ({where})" if key else where)
        return tuple(dict.fromkeys(found))

    def _run(self, text: str, given: Sequence[str] = ()) -> Fetched:
        return self.session.run(text, list(given), doing=f"checking {self.load.name}")


def _assigned(load: Load, name: str) -> Assigned:
    return next(one for one in load.assigned if one.column == name)
