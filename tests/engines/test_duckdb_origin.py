"""DuckDB as the source of a migration: every type's values, its structure, and a whole move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from command import DIFFERENT, DONE, REFUSED, windlass
from killing import kill
from repairs import expect_repair, rows_of
from servers import Database
from translating import Move, Source
from windlass.engines.duckdb.origin.origin import DuckDbOrigin
from windlass.engines.postgres.foreign.digests import Proven, read_buckets, read_digest
from windlass.engines.postgres.foreign.types import type_name
from windlass.errors import BadSpec
from windlass.model.chunk import Whole
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.model.translation import Answers, Digest, Fit, Reading, SourceTable
from windlass.model.wording import spelled

duckdb = pytest.importorskip("duckdb")

# the type in DuckDB, its type in PostgreSQL, and values, with their texts there
TYPES: list[tuple[str, str, dict[str, str]]] = [
    ("boolean", "boolean", {"true": "true", "false": "false"}),
    ("tinyint", "smallint", {"-128": "-128"}),
    ("utinyint", "smallint", {"255": "255"}),
    ("usmallint", "integer", {"65535": "65535"}),
    ("uinteger", "bigint", {"4294967295": "4294967295"}),
    ("bigint", "bigint", {"-9223372036854775808": "-9223372036854775808"}),
    ("ubigint", "numeric(20,0)", {"18446744073709551615": "18446744073709551615"}),
    ("hugeint", "numeric(39,0)", {f"'{-(2**127)}'": str(-(2**127))}),
    ("uhugeint", "numeric(39,0)", {f"'{2**128 - 1}'": str(2**128 - 1)}),
    ("decimal(38,10)", "numeric(38,10)", {"1.5": "1.5000000000"}),
    ("decimal(2,2)", "numeric(2,2)", {"-0.5": "-0.50", "0": "0.00", "0.07": "0.07"}),
    ("float", "real", {"0.1": "0.1", "'nan'": "NaN", "'-inf'": "-Infinity", "1e-45": "1e-45"}),
    (
        "double",
        "double precision",
        {
            "'-0.0'": "-0",
            "0.1::double + 0.2::double": "0.30000000000000004",
            "'nan'": "NaN",
            "5e-324": "5e-324",
            "1.7976931348623157e308": "1.7976931348623157e+308",
        },
    ),
    ("varchar", "text", {r"'a' || chr(9) || '\N' || chr(10) || chr(13)": "a\t\\N\n\r", "''": ""}),
    ("varchar", "text", {"'é😀'": "é😀", r"'back\\slash'": r"back\\slash", "'NULL'": "NULL"}),
    ("blob", "bytea", {r"'\x00\xFF'::blob": "\\x00ff", "''::blob": "\\x"}),
    ("date", "date", {"'0001-01-01'": "0001-01-01", "'9999-12-31'": "9999-12-31"}),
    ("time", "time without time zone", {"'23:59:59.000123'": "23:59:59.000123"}),
    ("time", "time without time zone", {"'24:00:00'": "24:00:00"}),
    (
        "timestamp",
        "timestamp without time zone",
        {"'0044-03-15 01:02:03.000004'": "0044-03-15 01:02:03.000004"},
    ),
    (
        "timestamp_s",
        "timestamp without time zone",
        {"'2020-02-29 01:02:03'": "2020-02-29 01:02:03"},
    ),
    (
        "timestamp_ms",
        "timestamp without time zone",
        {"'2020-02-29 01:02:03.5'": "2020-02-29 01:02:03.5"},
    ),
    (
        "timestamp_ns",
        "timestamp without time zone",
        {"'2020-02-29 01:02:03.123456000'": "2020-02-29 01:02:03.123456"},
    ),
    (
        "timestamptz",
        "timestamp with time zone",
        {"'2020-01-01 05:00:00+02'": "2020-01-01 03:00:00+00"},
    ),
    (
        "interval",
        "interval",
        {"interval '30 hours 5 seconds'": "30:00:05", "interval '-1.5 seconds'": "-00:00:01.5"},
    ),
    (
        "uuid",
        "uuid",
        {"'F47AC10B-58CC-4372-A567-0E02B2C3D479'": "f47ac10b-58cc-4372-a567-0e02b2c3d479"},
    ),
    ("bit", "bit varying", {"'0101'": "0101"}),
    ("enum('b', 'a''c', 'é')", "text", {"'a''c'": "a'c", "'é'": "é"}),
    ("json", "jsonb", {"""'{"b": 1.50, "a": [1e2]}'""": '{"a": [100], "b": 1.50}'}),
    ("integer[]", "jsonb", {"[1, null]": "[1, null]"}),
    ("integer[2]", "jsonb", {"[1, 2]": "[1, 2]"}),
    (
        "struct(a varchar, b date[])",
        "jsonb",
        {r"""{'a': 'x"\', 'b': [date '2020-01-01']}""": '{"a": "x\\"\\\\", "b": ["2020-01-01"]}'},
    ),
    ("map(integer, decimal(5,2))", "jsonb", {"map {2: 1.25, 10: 3}": '{"2": 1.25, "10": 3.0}'}),
    ("bignum", "numeric", {f"'{10**50}'": str(10**50)}),
]


def made(path: Path, *statements: str) -> str:
    with duckdb.connect(str(path)) as session:
        for one in statements:
            session.execute(one)
    return f"duckdb://{path}"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Callable[..., DuckDbOrigin]]:
    found: list[DuckDbOrigin] = []

    def hold(*statements: str) -> DuckDbOrigin:
        found.append(DuckDbOrigin(made(tmp_path / f"{len(found)}.duckdb", *statements)))
        found[-1].hold()
        return found[-1]

    yield hold
    for one in found:
        one.close()


def fitted(
    origin: DuckDbOrigin,
    name: str = "t",
    types: Mapping[str, str] | None = None,
    *,
    accepts: bool = False,
) -> tuple[SourceTable, Fit]:
    table = next(one for one in origin.schemas().tables if one.name.name == name)
    return table, origin.fit(table, Answers(types or {}, accepts))


def test_every_type_arrives_and_is_hashed_alike_on_both_sides(
    held: Callable[..., DuckDbOrigin], database: Callable[[int], Database]
) -> None:
    columns = ", ".join(f"c{at} {type_}" for at, (type_, _, _) in enumerate(TYPES))
    most = max(len(values) for _, _, values in TYPES)
    rows = [
        [list(values)[at] if at < len(values) else "null" for _, _, values in TYPES]
        for at in range(most)
    ]
    inserts = [f"insert into t values ({at}, {', '.join(row)})" for at, row in enumerate(rows)]
    origin = held(f"create table t (id int, {columns})", *inserts)
    table, fit = fitted(origin)
    assert fit.problems == () and fit.rows == most
    target = database(16)
    names = [f'"{one.name}" {type_name(one.type)}' for one in fit.fields]
    target.run(f"create table t ({', '.join(names)})")
    for field, (type_, wanted, _) in zip(fit.fields[1:], TYPES, strict=True):
        assert type_name(field.type) == wanted, type_
    reading = Reading(table.name, fit.fields)
    block = b"".join(origin.lines(reading, Whole()))
    with psycopg.connect(target.url, autocommit=True) as session:
        with session.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
            copy.write(block)
        session.execute("set timezone = 'UTC'; set datestyle = 'ISO'")
        for at, (type_, _, values) in enumerate(TYPES):
            query = f"select c{at}::text from t where c{at} is not null order by id"
            texts = [text for (text,) in session.execute(query).fetchall()]
            assert texts == list(values.values()), type_
    columns_there = tuple(one.name for one in fit.fields)
    for fields, key in ((fit.fields, ()), (fit.fields[:33], ("id",)), (fit.fields, ("id",))):
        some = Reading(table.name, fields, key)
        proven = Proven(Name("public", "t"), columns_there[: len(fields)], fields, key, "bits")
        with psycopg.connect(target.url, autocommit=True) as connection:
            assert origin.digest(some, Whole()) == read_digest(connection, proven)
            assert origin.buckets(some) == read_buckets(connection, proven)
            buckets = list(origin.buckets(some))
        assert len(list(origin.rows(some, buckets))) == most


def test_what_postgresql_s_types_do_not_have_is_counted_and_asked(
    held: Callable[..., DuckDbOrigin],
) -> None:
    origin = held(
        "create table t (id int primary key, ns timestamp_ns, d date, iv interval, s varchar,"
        " u union(a int, b varchar), x double, j double[], code varchar)",
        "insert into t values (1, '2020-01-01 00:00:00.123456789', 'infinity', interval '1 month',"
        " 'a' || chr(0), 1, 0.125, ['nan'], '007'), (2, '2020-01-01', '0044-03-15 (BC)',"
        " interval '1 hour', 'b', 'c', 1.5, null, '8')",
    )
    _, fit = fitted(origin, types={"x": "numeric(10,2)", "code": "integer"})
    assert [f"{one.object.rpartition('.')[2]}: {one.message}" for one in fit.problems] == [
        "u: PostgreSQL has no type for UNION(a INTEGER, b VARCHAR)",
        "ns: 1 value with more than six digits of a second (first: id = 1)",
        "d: 2 values that are infinite, or not of the years 1 to 9999 (first: id = 1)",
        "iv: 1 value with months or days, of which a comparison cannot tell all (first: id = 1)",
        "s: 1 value with U+0000, which PostgreSQL's text cannot hold (first: id = 1)",
        "x: 1 value not of the type that was chosen (first: id = 1)",
        "j: 1 value that jsonb refuses: NaN is no JSON",
        "code: 1 value not of the type that was chosen (first: id = 1)",
    ]
    answers = {"d": "text", "iv": "text", "s": "bytea", "u": "text", "j": "text", "ns": "text"}
    _, fit = fitted(origin, types={**answers, "x": "double precision", "code": "text"})
    assert fit.problems == ()
    lines = b"".join(origin.lines(Reading(Name("main", "t"), fit.fields), Whole())).decode()
    assert lines.splitlines()[0] == (
        "1\t2020-01-01 00:00:00.123456789\tinfinity\t1 month\t\\\\x6100\t1\t0.125\t[nan]\t007"
    )
    _, fit = fitted(origin, accepts=True)
    hints = "; ".join(one.hint for one in fit.problems)
    assert "types='main.t.d=text'" in spelled(hints) and "types='main.t.s=bytea'" in spelled(hints)
    del answers["ns"]
    _, fit = fitted(origin, types=answers, accepts=True)
    assert any("six digits" in one.message for one in fit.losses)


def test_keys_that_only_duckdb_tells_apart_are_counted(held: Callable[..., DuckDbOrigin]) -> None:
    origin = held(
        "create table t (id int primary key, ns timestamp_ns unique, code varchar)",
        "create unique index codes on t (code)",
        "insert into t values (1, '2020-01-01 00:00:00.000000001',"
        " '123e4567-e89b-12d3-a456-42665544000a'), (2, '2020-01-01 00:00:00.000000002',"
        " '123E4567-E89B-12D3-A456-42665544000A'), (3, null, null)",
    )
    _, fit = fitted(origin, types={"code": "uuid"}, accepts=True)
    same = "2 rows have keys that differ in DuckDB, and are the same on the target"
    assert [one.message for one in fit.problems] == [
        f"key t_ns_key (ns): {same}",
        f"key codes (code): {same}",
    ]
    _, fit = fitted(origin, types={"ns": "text"})
    assert fit.problems == ()


def test_the_structure_is_that_of_the_catalog(held: Callable[..., DuckDbOrigin]) -> None:
    origin = held(
        "create sequence s start 5",
        "create sequence other start 7 increment by 2",
        "create table p (id integer primary key default nextval('s'), k varchar unique)",
        """create table t (a int not null default 3 check (a > 0), "B b" varchar collate nocase,
           g int generated always as (a * 2) virtual, p int references p (id),
           n int default nextval('other'), unique (a, "B b"))""",
        'create index ix on t (a, "B b")',
        "create unique index ux on t ((a + 1))",
        "insert into p (k) values ('x')",
        "create view v as select a from t",
        "create macro twice(x) as x * 2",
        "comment on table t is 'rows'",
        "comment on column t.a is 'of it'",
    )
    schema = origin.schemas()
    tables = {one.name.name: one for one in schema.tables}
    p, t = tables["p"], tables["t"]
    assert p.primary_key and p.primary_key.columns == ("id",)
    assert p.columns[0].counts_up and p.next_number == 6
    assert [(one.name, one.default, one.generated, one.is_stored) for one in t.columns] == [
        ("a", "3", "", True), ("B b", "", "", True), ("g", "", "CAST((a * 2) AS INTEGER)", False),
        ("p", "", "", True), ("n", "nextval('other')", "", True),
    ]  # fmt: skip
    assert (t.columns[0].not_null, t.columns[0].comment, t.comment) == (True, "of it", "rows")
    assert [one.columns for one in t.uniques] == [("a", "B b")]
    assert [(one.columns, one.refers_to.name, one.referred) for one in t.foreign_keys] == [
        (("p",), "p", ("id",))
    ]
    assert [one.expression for one in t.checks] == ["(a > 0)"]
    assert [
        (one.name, one.is_unique, [part.column or part.expression for part in one.parts])
        for one in t.indexes
    ] == [("ix", False, ["a", "B b"]), ("ux", True, ["((a + 1))"])]
    (view,) = schema.views
    assert (view.name.name, view.columns, view.query) == ("v", ("a",), "SELECT a FROM t")
    assert [one.type for one in view.described] == ["INTEGER"]
    assert schema.others == (("macro", Name("main", "twice")),)
    assert origin.schema == "public"
    _, fit = fitted(origin)
    assert [one.kind for one in fit.losses] == [LossClass.BEHAVIOUR]


def test_ranges_of_row_numbers_hold_each_row_once(held: Callable[..., DuckDbOrigin]) -> None:
    origin = held(
        "create table t as select i, i::varchar s from range(300000) x (i)",
        "delete from t where i % 7 = 0 or i between 1000 and 200000",
        "create table named (rowid int)",
        "insert into named values (1), (1)",
    )
    table, fit = fitted(origin)
    reading = Reading(table.name, fit.fields)
    ranges = origin.cut(table, 5)
    assert len(ranges) == 5
    assert sum((origin.digest(reading, one) for one in ranges), Digest()) == origin.digest(
        reading, Whole()
    )
    lines = b"".join(block for one in ranges for block in origin.lines(reading, one)).splitlines()
    assert len(lines) == len(set(lines)) == fit.rows
    named, fit = fitted(origin, "named")
    assert origin.cut(named, 5) == [Whole()]
    assert origin.digest(Reading(named.name, fit.fields), Whole()).rows == 2


@pytest.fixture
def move(tmp_path: Path, database: Callable[[int], Database]) -> Move:
    path = tmp_path / "shop.duckdb"
    url = made(
        path,
        "create sequence ids",
        "create type mood as enum ('sad', 'ok')",
        "create table Customers (Id int primary key, Name varchar not null, m mood, big hugeint)",
        "create table Items (Id bigint primary key default nextval('ids'), Customer int references"
        " Customers (Id), Qty int not null default 3 check (Qty > 0), Note varchar, Total double,"
        " Doubled int generated always as (Qty * 2), Tags varchar[])",
        "create index by_note on Items (Note)",
        "create view sums as select Customer, sum(Qty) as n, count(*) as m from Items group by 1",
        "create view odd as select list(Id) as l from Customers",
        "insert into Customers select i, 'n' || i, 'ok', i * ('1' || repeat('0', 30))::hugeint"
        " from range(1, 301) x (i)",
        "insert into Items (Customer, Qty, Note, Total, Tags) select i % 300 + 1, i % 5 + 1,"
        " 'note ' || i, i * 0.125, ['a', i::varchar] from range(1, 40001) x (i)",
    )
    return Move(Source(url, _unused, "public"), database(16))


def _unused(*statements: str, values: tuple[Any, ...] = ()) -> None:
    raise AssertionError("nothing is written to it")


def test_a_file_arrives_whole_is_proven_and_undone(move: Move) -> None:
    found = move.command("migrate", "--accept", "objects").expect(DONE).result
    assert (found["verified"], found["rows"]) == ("full", 40_300)
    assert [one["object"] for one in found["losses"]] == ["view public.odd"]
    target = move.target
    assert target.rows(
        "select qty, note, total, doubled, tags, m::text from items join customers on customer ="
        " customers.id where items.id = 7"
    ) == [(3, "note 7", 0.875, 6, ["a", "7"], "ok")]
    assert target.value("select sum(n) from sums") == target.value("select sum(qty) from items")
    target.run("insert into items (customer) values (1)")
    assert target.rows("select id, qty from items where note is null") == [(40_001, 3)]
    with pytest.raises(psycopg.errors.CheckViolation):
        target.run("insert into items (qty) values (0)")
    target.run(
        "delete from items where note is null or id = 99",
        "update items set total = total + 1e-12 where id = 8",
        "update items set tags = '[\"a\"]' where id = 9",
    )
    found = move.command("verify", "--accept", "objects").expect(DIFFERENT).result["differences"]
    assert {(one["kind"], *one["key"].values(), *one["columns"]) for one in found} == {
        ("content",), ("count",), ("changed", "8", "total"),
        ("changed", "9", "tags"), ("missing", "99"),
    }  # fmt: skip
    run = move.command("status").expect(DONE).result["runs"][0]["run"]
    move.command("rollback", run, "--yes", "--force").expect(DONE)
    assert target.value("select count(*) from pg_class where relname in ('items', 'ids')") == 0


def test_rows_that_differ_are_repaired_and_the_repair_is_undone(move: Move) -> None:
    accept = ("--accept", "objects")
    move.command("migrate", *accept).expect(DONE)
    images = [
        "select * from items order by id",
        "select id, name, m::text from customers order by id",
    ]
    as_moved = rows_of(move, images)
    move.target.run(
        "update items set total = total + 1e-12, tags = '[]' where id in (8, 40000)",
        "delete from items where id = 99",
        "insert into items (id, customer, qty) values (50000, 1, 2)",
        "update customers set m = 'sad' where id = 5",
    )
    expect_repair(move, images, as_moved, *accept)


def test_killed_the_same_command_ends_it(move: Move) -> None:
    words = ("migrate", "--chunk-size", "256kB", "--accept", "objects")
    kill("call windlass.flows.translate.rows._copied 4", words, move.env)
    found = move.command(*words).expect(DONE).result
    assert found["resumed"] and found["verified"] == "full" and found["rows"] == 40_300


def test_what_cannot_be_read_is_explained(move: Move, tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="the path of a file"):
        DuckDbOrigin("duckdb://")
    other = tmp_path / "no.duckdb"
    other.write_bytes(b"nothing of the kind, and longer than a head")
    env = {**move.env, "WINDLASS_SOURCE": f"duckdb://{other}"}
    assert "not a valid DuckDB database" in windlass("plan", env=env).expect(REFUSED).said
    env["WINDLASS_SOURCE"] = f"duckdb://{tmp_path}/gone.duckdb"
    assert "no such file" in windlass("plan", env=env).expect(REFUSED).said
    with duckdb.connect(str(tmp_path / "views.duckdb")) as session:
        session.execute("create table t (a int); create macro m() as 1")
    env["WINDLASS_SOURCE"] = f"duckdb://{tmp_path}/views.duckdb"
    assert "macro main.m" in windlass("plan", env=env).expect(REFUSED).said
