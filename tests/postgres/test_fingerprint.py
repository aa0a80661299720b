"""Equal fingerprints mean equal rows, on any two servers, and different rows have different
ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from psycopg import sql

from comparing import open_sides, read_fingerprint
from corpora import corpora
from servers import Database, Server
from servers import Pair as Databases
from windlass.engines.postgres.fingerprint import Fingerprint, Pair, Side, read_fingerprints
from windlass.engines.postgres.hashing import Hashing, Method
from windlass.engines.postgres.session import Connection
from windlass.model.chunk import BlockRange, KeyRange, NullKeys, Range, Whole

TYPES = [
    "create schema s",
    "create type s.mood as enum ('a', 'b')",
    "create type s.pair as (x int, y text)",
    "create domain s.exact as numeric(10, 2)",
    "create domain s.big as bigint",
    "create domain s.real_one as float8",
]


@pytest.fixture(scope="module")
def databases(server: Callable[[int], Server]) -> Iterator[Databases]:
    """16 and 18, with the types of the cases below; each test makes its own relations."""
    made = [server(version).create_database() for version in (16, 18)]
    for database in made:
        database.run(*TYPES)
    yield Databases(*made)
    for database in made:
        database.server.drop_database(database)


def read_count(connection: Connection, side: Side, range_: Range | None = None) -> int:
    [found] = read_fingerprints(connection, [(side, range_ or Whole())], only_count=True)
    return found.rows


def both(databases: Databases, *statements: str) -> None:
    databases.source.run(*statements)
    databases.target.run(*statements)


def copy(databases: Databases, name: str) -> None:
    """The rows of a relation, as text."""
    with (
        databases.source.connect() as reading,
        databases.target.connect() as writing,
        reading.cursor().copy(f"copy {name} to stdout".encode()) as out,
        writing.cursor().copy(f"copy {name} from stdin".encode()) as into,
    ):
        for block in out:
            into.write(block)


def by_method(pair: Pair, method: Method) -> Pair:
    hashing = Hashing(method)
    return Pair(replace(pair.source, hashing=hashing), replace(pair.target, hashing=hashing))


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("pair", [(16, 18), (15, 18)], indirect=True)
def test_every_type_at_its_limits_is_the_same_on_two_versions(
    pair: Databases, method: Method
) -> None:
    files = corpora("types", pair.source.server.version, pair.target.server.version)
    pair.source.load(*files)
    pair.target.load(*files)
    names = pair.source.rows("select schemaname || '.' || tablename from pg_tables order by 1")
    with open_sides(pair) as sides:
        for (name,) in names:
            if not name.startswith(("pg_catalog.", "information_schema.")):
                pair.target.run(f"truncate {name}")  # loaded, E'\\v' is another text on 18
                copy(pair, name)
                one, other = sides.fingerprints(by_method(sides.pair(name), method))
                assert (name, one) == (name, other)


CASES = [
    ("numeric", "5", "-5"),
    ("numeric", "1.0", "1.00"),
    ("numeric", "NaN", "Infinity"),
    ("numeric(10,2)", "2.50", "-2.50"),
    ("s.exact", "2.50", "-2.50"),
    ("bigint", "-1", "4294967295"),
    ("bigint", "0", "4294967297"),
    ("s.big", "-1", "4294967295"),
    ("float8", "0", "-0"),
    ("real", "0", "-0"),
    ("s.real_one", "0", "-0"),
    ("float8", "0.1", "0.10000000000000002"),
    ("float8[]", "{0}", "{-0}"),
    ("numeric[]", "{1.0}", "{1.00}"),
    ("int[]", "{1,2,3,4}", "{{1,2},{3,4}}"),
    ("int[]", "{1,2}", "[0:1]={1,2}"),
    ("text[]", "{NULL}", '{"NULL"}'),
    ("jsonb", '{"a": {"b": 1}, "c": 2}', '{"a": {"b": 1, "c": 2}}'),
    ("jsonb", '{"a": 1}', '{"a": -1}'),
    ("jsonb", "1.0", "1.00"),
    ("json", '{"a":1}', '{"a": 1}'),
    ("interval", "1 day", "24:00:00"),
    ("interval", "1 mon", "30 days"),
    ("text", "a", "A"),
    ("text", "é", "e\u0301"),
    ("bpchar", "a", "a "),
    ("varchar(5)", "a", "a "),
    ("s.mood", "a", "b"),
    ("s.mood[]", "{a}", "{b}"),
    ("s.pair", "(,)", None),
    ("s.pair", "(1,)", '(1,"")'),
    ("bytea", r"\x00", r"\x0000"),
    ("bit(3)", "101", "110"),
    ("varbit", "1", "10"),
    ("numrange", "[1.0,2)", "[1.00,2)"),
    ("int8range", "[0,5)", "[4294967297,4294967302)"),
    ("tstzrange", "[2020-01-01,2020-01-02)", "[2020-01-01,2020-01-02]"),
    ("timestamptz", "2020-01-01 00:00:00.000001+00", "2020-01-01 00:00:00.000002+00"),
    ("timetz", "00:00:00+00", "00:00:00+01"),
    ("money", "1.00", "1.01"),
    ("point", "(0,0)", "(0,1)"),
    ("boolean", "f", None),
    ("text", "", None),
]


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize(("type_", "before", "after"), CASES)
def test_a_fingerprint_sees_what_equality_overlooks(
    databases: Databases, type_: str, before: str, after: str | None, method: Method
) -> None:
    both(databases, "drop table if exists s.t", f"create table s.t (v {type_})")
    for database, value in ((databases.source, before), (databases.target, after)):
        with database.connect() as connection:
            insert = f"insert into s.t values (%s::text::{type_})"
            connection.execute(insert.encode(), [value])
    with open_sides(databases) as sides:
        one, other = sides.fingerprints(by_method(sides.pair("s.t"), method))
    assert one.rows == other.rows == 1
    assert one != other


@pytest.mark.parametrize("method", Method)
def test_two_rows_that_swap_a_value_are_seen(databases: Databases, method: Method) -> None:
    both(
        databases,
        "drop table if exists s.t",
        "create table s.t (a int, b int)",
        "insert into s.t values (1, 2), (3, 4)",
    )
    with open_sides(databases) as sides:
        pair = by_method(sides.pair("s.t"), method)
        one, other = sides.fingerprints(pair)
        assert one == other
        sides.target.execute("update s.t set b = 6 - b")
        one, other = sides.fingerprints(pair)
        assert one != other


def test_a_fingerprint_does_not_depend_on_the_order_of_rows(databases: Databases) -> None:
    both(databases, "drop table if exists s.t", "create table s.t (a int, b text)")
    numbers = "insert into s.t select i, i::text from generate_series(1, 1000) as g (i) order by"
    databases.source.run(f"{numbers} g.i")
    databases.target.run(f"{numbers} -g.i")
    with open_sides(databases) as sides:
        one, other = sides.fingerprints(sides.pair("s.t"))
    assert one == other


@pytest.mark.parametrize("count", [0, 1, 800, 1600])
@pytest.mark.parametrize("type_", ["float8", "text", "numeric"])
@pytest.mark.parametrize("method", Method)
def test_any_number_of_columns_has_a_fingerprint(
    databases: Databases, count: int, type_: str, method: Method
) -> None:
    columns = ", ".join(f"c{at} {type_}" for at in range(count))
    both(databases, "drop table if exists s.t", f"create table s.t ({columns})")
    both(databases, "insert into s.t default values", "insert into s.t default values")
    with open_sides(databases) as sides:
        pair = by_method(sides.pair("s.t"), method)
        one, other = sides.fingerprints(pair)
        assert one == other
        assert one.rows == 2
        for at in {0, count // 2, count - 1} if count else ():
            query = sql.SQL("update s.t set {} = '1'").format(sql.Identifier(f"c{at}"))
            sides.target.execute(query)
            changed = read_fingerprint(sides.target, pair.target)
            assert changed != other
            other = changed


def test_fingerprints_of_ranges_add_up(databases: Databases) -> None:
    both(
        databases,
        "drop table if exists s.t",
        "create table s.t (id int, b text)",
        "insert into s.t select nullif(i, 5), repeat('x', 500) from generate_series(1, 1000) i",
    )
    with open_sides(databases) as sides:
        side = sides.pair("s.t").source
        whole = read_fingerprint(sides.source, side)
        blocks: list[Range] = [BlockRange(0, 7), BlockRange(7, 50), BlockRange(50, None)]
        keys: list[Range] = [
            KeyRange(("id",), None, ("300",)),
            KeyRange(("id",), ("300",), ("301",)),
            KeyRange(("id",), ("301",), None),
            NullKeys(("id",)),
        ]
        for ranges in (blocks, keys):
            parts = [read_fingerprint(sides.source, side, one) for one in ranges]
            assert all(part.rows > 0 for part in parts)
            assert sum(parts, Fingerprint()) == whole
            assert sum(read_count(sides.source, side, one) for one in ranges) == 1000


def test_rows_of_children_belong_to_the_children(databases: Databases) -> None:
    both(
        databases,
        "drop table if exists s.t cascade",
        "create table s.t (a int)",
        "create table s.child () inherits (s.t)",
        "insert into s.t values (1)",
        "insert into s.child values (2), (3)",
    )
    with open_sides(databases) as sides:
        assert read_count(sides.source, sides.pair("s.t").source) == 1
        assert read_fingerprint(sides.source, sides.pair("s.t").source).rows == 1
    both(databases, "drop table s.t cascade")


WHOLE = [
    ("int", "bigint", "-7"),
    ("varchar(5)", "text", "é"),
    ("char(5)", "text", "a"),
    ("numeric(10,2)", "numeric(10,4)", "1.20"),
    ("float4", "float8", "1e10"),
    ("real", "float8", "0.1"),
    ("real", "float8", "-0"),
    ("date", "timestamp", "2020-01-01"),
    ("text", "int", "7"),
    ("s.mood", "text", "b"),
    ("text", "s.mood", "b"),
]
CHANGED = [
    ("text", "char(5)", "a"),
    ("timestamp", "timestamptz", "2020-01-01 12:00"),
    ("timestamp", "date", "2020-01-01 12:00"),
    ("numeric(10,4)", "numeric(10,2)", "1.2345"),
    ("numeric", "float8", "1.23456789012345678901"),
    ("float8", "numeric", "-0"),
    ("json", "jsonb", '{"b":1,  "a":2}'),
    ("text", "int", "007"),
]


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize(
    ("source", "target", "value", "whole"),
    [*((*case, True) for case in WHOLE), *((*case, False) for case in CHANGED)],
)
def test_columns_of_another_type_are_equal_where_the_value_is(
    databases: Databases, source: str, target: str, value: str, whole: bool, method: Method
) -> None:
    databases.source.run("drop table if exists s.t", f"create table s.t (v {source})")
    databases.target.run("drop table if exists s.t", f"create table s.t (v {target})")
    databases.source.run(f"insert into s.t values ('{value}'), (null)")
    copy(databases, "s.t")
    with open_sides(databases) as sides:
        one, other = sides.fingerprints(by_method(sides.pair("s.t"), method))
    assert (one == other) is whole


@pytest.mark.parametrize("old", [False, True])
def test_text_is_the_same_in_two_encodings(
    server: Callable[[int], Server], database: Callable[[int], Database], old: bool
) -> None:
    source = Database(server(16), "in_latin1")
    server(16).admin.run("create database in_latin1 encoding 'LATIN1' template template0")
    databases = Databases(source, database(18))
    try:
        both(
            databases,
            "set client_encoding = 'UTF8'",
            "create schema s",
            "create type s.mood as enum ('é')",
            "create table s.t (a text, b varchar(5), c char(5), d s.mood, e text[], f jsonb,"
            ' g "char", h name, i bytea, j int)',
        )
        for one in (databases.source, databases.target):
            with one.connect(client_encoding="utf8") as connection:
                connection.execute(
                    "insert into s.t values ('ÄÖ', 'é', 'é', 'é', '{é,NULL}', '{\"é\": \"ÿ\"}',"
                    " 'x', 'é', '\\xe9', 1), (null, null, null, null, null, null, null, null,"
                    " null, null)"
                )
        with open_sides(databases) as sides:
            pair = sides.pair("s.t")
            if old:
                pair = Pair(
                    replace(pair.source, hashing=Hashing(Method.TEXT, converts=True)),
                    replace(pair.target, hashing=Hashing(Method.TEXT)),
                )
            first, second = sides.fingerprints(pair)
        assert first == second
    finally:
        server(16).drop_database(source)


def test_the_older_of_two_servers_decides_the_method() -> None:
    assert Method.between(160014, 180001) is Method.RECORD
    assert Method.between(130011, 180001) is Method.TEXT
