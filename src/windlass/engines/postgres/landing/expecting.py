"""Checks expectations of the staged rows, and what words require of their keys, by queries over all
rows. Does not change the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.columns import Column, listed, named
from windlass.engines.postgres.landing.rows import Rows
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.model.load import Expect, Expectation, Finding, Load
from windlass.model.load_words import Duplicates
from windlass.model.relation import Name
from windlass.model.units import plural

SHOWN = 20  # rows of a finding


@dataclass(frozen=True, slots=True)
class Test:
    """`failing` is the condition of staged rows `s` that break an expectation."""

    expectation: Expectation
    failing: sql.Composable


def check_rows(connection: Connection, run: str, load: Load, rows: Rows) -> list[Finding]:
    """Every expectation that does not hold, and every rule of the key."""
    found: list[Finding] = []
    for test in _tests(load, rows):
        if finding := _find(connection, rows, test):
            found.append(finding)
            if load.bad.keeps_failing:
                _keep(connection, run, load, rows, test)
    for one in load.expectations:
        if one.kind is Expect.ROWS and (finding := _count(connection, rows, one)):
            found.append(finding)
    return found


def _tests(load: Load, rows: Rows) -> Iterator[Test]:
    if rows.key:
        words = load.words.key
        yield Test(Expectation(Expect.NOT_NULL, words), _absent(rows.key))
        if load.words.duplicates is Duplicates.REFUSE:
            yield Test(Expectation(Expect.UNIQUE, words), _doubled(rows, rows.key))
    if load.words.slice:
        outside = sql.SQL("({}\n) is not true").format(sql.SQL(load.words.slice))
        expectation = Expectation(Expect.SQL, sql=load.words.slice)
        yield Test(expectation, outside)
    for one in load.expectations:
        if one.kind is not Expect.ROWS:
            columns = named(rows.columns, one.columns)
            yield Test(one, sql.SQL(" or ").join(_failing(one, columns, rows)))


def _failing(one: Expectation, columns: Sequence[Column], rows: Rows) -> Iterator[sql.Composable]:
    match one.kind:
        case Expect.NOT_NULL:
            yield _absent(columns)
        case Expect.UNIQUE:
            yield _doubled(rows, columns)
        case Expect.SQL:
            yield sql.SQL("({}\n) is false").format(sql.SQL(one.sql))
        case Expect.RANGE:
            for column in columns:
                for limit, beyond in ((one.low, "<"), (one.high, ">")):
                    if limit:
                        yield _of(column) + sql.SQL(beyond) + _literal(limit, column)
        case Expect.ACCEPTED:
            for column in columns:
                accepted = listed(_literal(value, column) for value in one.accepted)
                yield sql.SQL("{} not in ({})").format(_of(column), accepted)
        case Expect.FOREIGN_KEY:
            for column in columns:
                yield _dangling(one, column)


def _of(column: Column) -> sql.Composed:
    return sql.SQL("s.{} ").format(column.identifier)


def _literal(value: str, column: Column) -> sql.Composed:
    return sql.SQL(" {}::{}").format(sql.Literal(value), sql.SQL(column.type))


def _absent(columns: Sequence[Column]) -> sql.Composed:
    return sql.SQL(" or ").join(sql.SQL("{}is null").format(_of(one)) for one in columns)


def _doubled(rows: Rows, columns: Sequence[Column]) -> sql.Composed:
    """A condition for rows whose values occur more than once; NULL does not count as a value."""
    keys = listed(_of(one) for one in columns)
    return sql.SQL(
        "(s.{input}, s.{place}) in (select {input}, {place} from (select {input}, {place},"
        " pg_catalog.count(*) over (partition by {keys}) as number from {rows} s"
        " where not ({absent})) counted where number > 1)"
    ).format(
        input=sql.Identifier(names.INPUT),
        place=sql.Identifier(names.PLACE),
        keys=keys,
        rows=rows.source,
        absent=_absent(columns),
    )


def _dangling(one: Expectation, column: Column) -> sql.Composed:
    """A condition for rows whose value is missing in `refers_to`, which is schema.table.column."""
    table, _, referred = one.refers_to.rpartition(".")
    name = Name.read(table)
    return sql.SQL(
        "({value}is not null and not exists (select from {table} r where {same}))"
    ).format(
        value=_of(column),
        table=names.identifier(name),
        same=column.equals(
            sql.SQL("r.{}").format(sql.Identifier(referred.strip('"'))), _of(column)
        ),
    )


def _find(connection: Connection, rows: Rows, test: Test) -> Finding | None:
    count = _number(connection, rows, test.failing)
    if not count:
        return None
    return Finding(
        test.expectation, count, tuple(dict.fromkeys(_shown(connection, rows, test.failing)))
    )


def _number(connection: Connection, rows: Rows, failing: sql.Composable) -> int:
    row = connection.execute(
        sql.SQL("select pg_catalog.count(*) from {} s where {}").format(rows.source, failing)
    ).fetchone()
    return int(str(row[0])) if row else 0


def _shown(connection: Connection, rows: Rows, failing: sql.Composable) -> Iterator[str]:
    """The keys of some of the rows, and where they come from."""
    keys = [sql.SQL("s.{}::text").format(one.identifier) for one in rows.key]
    query = sql.SQL(
        "select s.{input}, s.{place}::text, array[{keys}]::text[] from {rows} s where {failing}"
        " order by s.{input}, s.{place} limit {shown}"
    ).format(
        input=sql.Identifier(names.INPUT),
        place=sql.Identifier(names.PLACE),
        keys=listed(keys),
        rows=rows.source,
        failing=failing,
        shown=sql.Literal(SHOWN),
    )
    for number, place, values in connection.execute(query).fetchall():
        found = values if isinstance(values, list) else []
        where = rows.described(connection, int(str(number)), str(place))
        key = described_key([one.name for one in rows.key], found)
        yield f"{key} ({where})" if key else where


def described_key(columns: Sequence[str], values: Sequence[object]) -> str:
    """For people: ``id = 5, kind = a``."""
    pairs = zip(columns, values, strict=True)
    return ", ".join(f"{name} = {'NULL' if one is None else one}" for name, one in pairs)


def _keep(connection: Connection, run: str, load: Load, rows: Rows, test: Test) -> None:
    """Keep the failing rows in a table that stays."""
    table = names.identifier(names.failing(run, load.name))
    columns = listed(sql.SQL("s.{0}::text as {0}").format(one.identifier) for one in rows.columns)
    select = sql.SQL("select {}::text as expectation, {} from {} s where {}").format(
        sql.Literal(test.expectation.described), columns, rows.source, test.failing
    )
    empty = sql.SQL("create table if not exists {} as {} and false").format(
        table,
        sql.SQL("select {}::text as expectation, {} from {} s where true").format(
            sql.Literal(""), columns, rows.source
        ),
    )
    connection.execute(empty)
    connection.execute(sql.SQL("insert into {} {}").format(table, select))


def _count(connection: Connection, rows: Rows, one: Expectation) -> Finding | None:
    count = _number(connection, rows, sql.SQL("true"))
    if (one.low and count < float(one.low)) or (one.high and count > float(one.high)):
        return Finding(one, count)
    return None


def refuse_bad_keys(connection: Connection, load: Load, rows: Rows) -> None:
    """Check the key of rows that were not checked before.

    Raises:
        WindlassError: a key is NULL or not unique; `check` finds which one.
    """
    alone = replace(load, expectations=())
    found = [one for test in _tests(alone, rows) if (one := _find(connection, rows, test))]
    if found:
        said = "; ".join(f"{one.expectation.described}: {plural(one.rows, 'row')}" for one in found)
        raise WindlassError(f"{load.name}: {said}", hint="nothing was changed; correct the input")
