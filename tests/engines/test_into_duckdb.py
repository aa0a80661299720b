"""A migration from PostgreSQL into a DuckDB file: which type and value each type becomes, and what
is named as lost. What is the same for all files is in test_into_files.py, and what keys need in
test_into_duckdb_keys.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from command import REFUSED
from file_moves import IntoDuckDb
from killing import kill
from servers import Database
from windlass.engines.duckdb.destination.filling import fill
from windlass.model.conversion import Carried
from windlass.model.relation import Name
from windlass.model.translation import Sort

Moved = Callable[..., IntoDuckDb]


@pytest.fixture
def move(database: Callable[[int], Database], tmp_path: Path) -> Moved:
    def make(*statements: str) -> IntoDuckDb:
        source = database(16)
        source.run(*statements)
        return IntoDuckDb(source, tmp_path / "shop.duckdb")

    return make


# type, values in PostgreSQL's SQL, type in DuckDB, what DuckDB prints of them as text
TYPES: list[tuple[str, str, str, list[str | None]]] = [
    ("boolean", "true, false, null", "BOOLEAN", ["true", "false", None]),
    ("smallint", "-32768, 32767", "SMALLINT", ["-32768", "32767"]),
    ("integer", "-2147483648, 2147483647", "INTEGER", ["-2147483648", "2147483647"]),
    ("bigint", "-9223372036854775808, 9223372036854775807", "BIGINT",
     ["-9223372036854775808", "9223372036854775807"]),
    ("oid", "4294967295", "UINTEGER", ["4294967295"]),
    ("real", "0.1, 'Infinity', 1e-45, 'NaN', '-0'", "FLOAT",
     ["0.1", "inf", "1e-45", "nan", "-0.0"]),
    ("double precision", "0.1::float8 + 0.2, '-Infinity', 1.7976931348623157e308, 5e-324, 'NaN',"
     " '-0'", "DOUBLE",
     ["0.30000000000000004", "-inf", "1.7976931348623157e+308", "5e-324", "nan", "-0.0"]),
    ("numeric", "'123456789012345678901234567890.123456789', 1.50, 'NaN', 'Infinity'", "VARCHAR",
     ["123456789012345678901234567890.123456789", "1.50", "NaN", "Infinity"]),
    ("numeric(12,2)", "1.5, -0.07, 9999999999.99", "DECIMAL(12,2)",
     ["1.50", "-0.07", "9999999999.99"]),
    ("numeric(38,19)", "'1234567890123456789.1234567890123456789', -0.0000000000000000001",
     "DECIMAL(38,19)", ["1234567890123456789.1234567890123456789", "-0.0000000000000000001"]),
    ("numeric(39,0)", "'123456789012345678901234567890123456789', 'NaN'", "VARCHAR",
     ["123456789012345678901234567890123456789", "NaN"]),
    ("numeric(2,2)", "0.5, -0.07", "DECIMAL(2,2)", [".50", "-.07"]),
    ("numeric(3,5)", "0.00123", "DECIMAL(5,5)", [".00123"]),
    ("numeric(5,-2)", "1234567", "DECIMAL(7,0)", ["1234600"]),
    ("money", "12.34, '-92233720368547758.08'", "DECIMAL(21,2)",
     ["12.34", "-92233720368547758.08"]),
    ("text", "'', E'a\\tb\\n', '\\N', 'é€😀'", "VARCHAR", ["", "a\tb\n", "\\N", "é€😀"]),
    ("varchar(3)", "'abc', 'é€😀'", "VARCHAR", ["abc", "é€😀"]),
    ("character(4)", "'a'", "VARCHAR", ["a   "]),
    ("bytea", "'', '\\x00ff5c41'", "BLOB", ["", "\\x00\\xFF\\x5CA"]),
    ("date", "'2026-11-29', 'infinity', '-infinity', '0044-03-15 BC', '4713-01-01 BC',"
     " '5874897-12-31'", "DATE",
     ["2026-11-29", "infinity", "-infinity", "0044-03-15 (BC)", "4713-01-01 (BC)",
      "5874897-12-31"]),
    ("time", "'23:59:59.9', '24:00'", "TIME", ["23:59:59.9", "24:00:00"]),
    ("timetz", "'10:00:00+02', '24:00:00-15:59:59', '01:00:00.000001+05:30:15'",
     "TIME WITH TIME ZONE", ["10:00:00+02", "24:00:00-15:59:59", "01:00:00.000001+05:30:15"]),
    ("timestamp", "'2026-11-29 23:59:59.000001', '-infinity', '9999-12-31', '10000-01-01',"
     " '4713-11-24 00:00:00 BC', '294247-01-10 04:00:54.775806'", "TIMESTAMP",
     ["2026-11-29 23:59:59.000001", "-infinity", "9999-12-31 00:00:00", "10000-01-01 00:00:00",
      "4713-11-24 (BC) 00:00:00", "294247-01-10 04:00:54.775806"]),
    ("timestamptz", "'2026-11-29 01:30:00+02', 'infinity', '0044-03-15 01:02:03+00 BC'",
     "TIMESTAMP WITH TIME ZONE",
     ["2026-11-28 23:30:00+00", "infinity", "0044-03-15 (BC) 01:02:03+00"]),
    ("interval", "'1 year 2 mons -3 days 03:04:05.6', '-1 mons 40 days -25:00:00.000001',"
     " '2562047788:00:54.775807', '0'", "INTERVAL",
     ["1 year 2 months -3 days 03:04:05.6", "-1 month 40 days -25:00:00.000001",
      "2562047788:00:54.775807", "00:00:00"]),
    ("uuid", "'01234567-89AB-cdef-0123-456789abcdef'", "UUID",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("jsonb", """'{"b": 1.50, "a": [null, "é"]}', '1e400'""", "JSON",
     ['{"a": [null, "é"], "b": 1.50}', "1" + "0" * 400]),
    ("json", """'{"b":  1, "b": 2}', '"\\ud83d\\ude00 \\\\ud800"', '"\\u0000"'""", "JSON",
     ['{"b":  1, "b": 2}', '"\\ud83d\\ude00 \\\\ud800"', '"\\u0000"']),
    ("int[]", "'{1,null,-3}', '{}', null", "INTEGER[]", ["[1, NULL, -3]", "[]", None]),
    ("bool[]", "'{t,f,null}'", "BOOLEAN[]", ["[true, false, NULL]"]),
    ("float8[]", "'{0.1,NaN,-0,1e20,Infinity}'", "DOUBLE[]", ["[0.1, nan, -0.0, 1e+20, inf]"]),
    ("real[]", "'{0.1,null}'", "FLOAT[]", ["[0.1, NULL]"]),
    ("numeric(10,2)[]", "'{1.5,-0.07}'", "DECIMAL(10,2)[]", ["[1.50, -0.07]"]),
    ("text[]", """'{"a,b",NULL,"q\\"uote","","é","null"}'""", "VARCHAR[]",
     ["['a,b', NULL, 'q\"uote', '', é, 'null']"]),
    ("date[]", "'{2026-11-29,infinity}'", "DATE[]", ["[2026-11-29, infinity]"]),
    ("timestamptz[]", "array['2026-11-29 01:30:00+02'::timestamptz, null]::text",
     "TIMESTAMP WITH TIME ZONE[]", ["['2026-11-28 23:30:00+00', NULL]"]),
    ("uuid[]", "'{01234567-89AB-cdef-0123-456789abcdef}'", "UUID[]",
     ["[01234567-89ab-cdef-0123-456789abcdef]"]),
    ("bytea[]", "array['\\x00ff'::bytea]", "JSON", ['["\\\\x00ff"]']),
    ("bit(3)", "'101'", "BIT", ["101"]),
    ("bit varying", "'0', '1011'", "BIT", ["0", "1011"]),
    ("inet", "'10.0.0.1/8'", "VARCHAR", ["10.0.0.1/8"]),
    ("int4range", "'[1,5)'", "VARCHAR", ["[1,5)"]),
    ("public.mood", "'sad', 'o''k {0}'", "ENUM('sad', 'o''k {0}')", ["sad", "o'k {0}"]),
    ("public.pair", "'(1,\"a b\")'", "VARCHAR", ['(1,"a b")']),
    ("public.mood[]", "'{sad}'", "JSON", ['["sad"]']),
    ("point", "'(1.5,2)'", "VARCHAR", ["(1.5,2)"]),
]  # fmt: skip


def test_every_type_arrives_exactly(move: Moved) -> None:
    statements = [
        "create type public.mood as enum ('sad', 'o''k {0}')",
        "create type public.pair as (a int, b text)",
    ]
    for at, (type_, values, _, _) in enumerate(TYPES):
        statements.append(f"create table t{at} (n int, v {type_})")
        given = ", ".join(
            f"({n}, cast({value} as text)::{type_})" for n, value in enumerate(_split(values))
        )
        statements.append(f"insert into t{at} values {given}")
    one = move(*statements)
    found = one.migrate()
    assert (found["verified"], found["losses"]) == ("full", [])
    with duckdb.connect(str(one.path)) as session:
        session.execute("set timezone = 'UTC'")
        stored = {
            type_: (
                session.execute(
                    "select data_type from duckdb_columns() where table_name = ? and column_name"
                    " = 'v'",
                    [f"t{at}"],
                ).fetchone(),
                session.execute(f"select v::varchar from t{at} order by n").fetchall(),
            )
            for at, (type_, *_) in enumerate(TYPES)
        }
    assert stored == {
        type_: ((declared,), [(text,) for text in texts]) for type_, _, declared, texts in TYPES
    }


def _split(values: str) -> list[str]:
    """Values of a row of TYPES: apart at commas that are in no text and no brackets."""
    found, text, within, depth = [], "", False, 0
    for character in values:
        within ^= character == "'"
        depth += (character == "[") - (character == "]") if not within else 0
        if character == "," and not within and not depth:
            found.append(text.strip())
            text = ""
        else:
            text += character
    return [*found, text.strip()]


def test_values_are_what_python_reads(move: Moved) -> None:
    one = move(
        "create table t (a timestamptz, b interval, c numeric(38,10), d bit(4), e time, f uuid,"
        " g bytea, h text[], i date)",
        "insert into t values ('2026-11-29 01:30:00+02', '2 days 3 seconds', 12345.678, '1010',"
        " '23:59:59.5', '01234567-89ab-cdef-0123-456789abcdef', '\\x00ff',"
        " E'{\"\\t\x1f\\\\\\\\\"}', '1999-12-31')",
    )
    one.migrate()
    assert one.rows("select * from t") == [
        (
            datetime(2026, 11, 28, 23, 30, tzinfo=UTC),
            timedelta(days=2, seconds=3),
            Decimal("12345.6780000000"),
            "1010",
            time(23, 59, 59, 500000),
            UUID("01234567-89ab-cdef-0123-456789abcdef"),
            b"\x00\xff",
            ["\t\x1f\\"],
            date(1999, 12, 31),
        )
    ]


def test_no_value_is_lost_in_silence(move: Moved) -> None:
    one = move(
        "create table t (id int primary key, n numeric(6,2), m numeric(6,2) not null, a int[],"
        " ts timestamp, tz timestamptz[], v bit varying, j json, x numeric, f float8)",
        "insert into t values (1, 'NaN', 1, '[0:1]={7,8}', '294270-01-01', null, '', '\"\\ud800\"',"
        " 1.23456789, 0.1), (2, 1, 2, '{{1,2},{3,4}}', 'infinity', '{294270-01-01}', '0',"
        " '\"\\\\ud800\"', 'NaN', 'NaN'), (3, null, 3, '{}', null, null, null, null, 1e30, 3)",
    )
    far = "later than DuckDB's last moment, in the year 294247: becomes NULL"
    expected = {
        ("public.t.n", "1 value: NaN, which no DECIMAL has: becomes NULL"),
        ("public.t.a", "1 value: an array of arrays, which a list is not: becomes NULL; --type can"
         " say json"),
        ("public.t.a", "1 value: an array whose first index is not 1, which is left out"),
        ("public.t.ts", f"1 value: {far}"),
        ("public.t.tz", f"1 value: with an element that is {far}"),
        ("public.t.v", "1 value: no bits at all, which DuckDB does not have: becomes NULL"),
        ("public.t.j", "1 value: half of a character as an escape, which DuckDB's JSON refuses:"
         " becomes NULL; --type can say varchar"),
    }  # fmt: skip
    assert set(one.problems()) == expected
    chosen = ["--type", "t.x=decimal(10,4)", "--type", "t.a=json", "--type", "t.j=text"]
    chosen += ["--type", "t.f=integer"]
    found = set(one.problems(*chosen))
    assert found - expected == {
        ("public.t.x", "2 values: no decimal(10,4): becomes NULL"),
        ("public.t.x", "1 value: more than 4 digits after the point: rounded"),
        ("public.t.f", "2 values: no INTEGER: becomes NULL"),
    }
    moved = one.migrate(*chosen, "--accept", "values")
    assert moved["verified"] == "full"
    assert one.rows("select id, n, a, ts::varchar, tz, v, j, x, f from t order by id") == [
        (1, None, "[7,8]", None, None, None, '"\\ud800"', Decimal("1.2346"), None),
        (2, Decimal("1.00"), "[[1,2],[3,4]]", "infinity", [None], "0", '"\\\\ud800"', None, None),
        (3, None, "[]", None, None, None, None, None, 3),
    ]
    one.source.run("update t set m = 'NaN' where id = 1")
    one.path.unlink()
    assert (
        "public.t.m",
        "1 value: NaN, which no DECIMAL has: becomes NULL, in a column that is NOT NULL",
    ) in one.problems()


def test_schemas_keys_comments_and_sequences_arrive(move: Moved) -> None:
    one = move(
        "create schema sales",
        'create schema "odd ""s"',
        'create table "odd ""s"."t"".x" ("a ""b" int primary key, "c;d" text default \'it\'\'s\')',
        """insert into "odd ""s"."t"".x" values (1, 'x')""",
        "create table sales.kinds (a int, b text, unique (b, a), id int generated always as"
        " identity (start 10 increment 5) primary key)",
        "create table sales.things (id bigserial primary key, x text, y int, kind int references"
        " sales.kinds, foreign key (x, y) references sales.kinds (b, a),"
        " at timestamptz default now(), u uuid default gen_random_uuid(), d date default"
        " '2026-01-01', f float8 default 'NaN', l int[] default '{1,2}', i interval default"
        " '1 day', b bytea default '\\x00ff')",
        "insert into sales.kinds (a, b) values (1, 'one'), (2, 'two')",
        "insert into sales.things (x, y, kind) values ('one', 1, 15), (null, 1, null)",
        "select setval('sales.things_id_seq', 40, false)",
        "comment on table sales.kinds is 'what; it''s {for}'",
        "comment on column sales.kinds.b is 'a name'",
        'create table "CamelCase" ("Id" serial primary key)',
    )
    assert one.migrate()["verified"] == "full"
    assert one.rows('select * from "odd ""s"."t"".x"') == [(1, "x")]
    assert one.rows("select comment from duckdb_tables() where table_name = 'kinds'") == [
        ("what; it's {for}",)
    ]
    query = "select comment from duckdb_columns() where column_name = 'b' and comment is not null"
    assert one.rows(query) == [("a name",)]
    one.run(
        "insert into sales.kinds (a, b) values (3, 'three')",
        "insert into sales.things (x, y, kind) values ('three', 3, 20)",
        'insert into "odd ""s"."t"".x" ("a ""b") values (7)',
        'insert into "CamelCase" default values',
    )
    assert one.rows("select id from sales.kinds where a = 3") == [(20,)]
    added = 'select id, d, isnan(f), l, i, b, u is not null, "at" is not null from sales.things'
    assert one.rows(f"{added} where x = 'three'") == [
        (40, date(2026, 1, 1), True, [1, 2], timedelta(days=1), b"\x00\xff", True, True)
    ]
    assert one.rows('select "c;d" from "odd ""s"."t"".x" where "a ""b" = 7') == [("it's",)]
    for broken in (
        "insert into sales.things (kind) values (99)",
        "insert into sales.things (x, y) values ('one', 2)",
        "insert into sales.kinds (a, b) values (1, 'one')",
        "delete from sales.kinds where id = 10",
    ):
        with pytest.raises(duckdb.ConstraintException):
            one.run(broken)
    mapped = IntoDuckDb(one.source, one.path.parent / "mapped.duckdb")
    mapped.migrate("--map-schema", "sales=main", "--include", "sales.*")
    assert mapped.tables() == ["kinds", "things"]


def test_what_duckdb_has_no_counterpart_for_is_named_with_its_text(move: Moved) -> None:
    one = move(
        "create schema s2",
        "create table a (id int primary key, b int, code char(3) unique, note text"
        " check (note ~ '^x'), iv interval unique, up int references a (id), n numeric unique,"
        " second bigserial, first serial, g int generated always as (b * 2) stored not null"
        " check (g > 0), k int generated always as (b / 2) stored,"
        " m float8 generated always as (b / 2.0) stored, made text generated always as"
        " (md5(note)) stored)",
        "create table b (id bigint primary key, a int references a (id) on delete set null"
        " deferrable initially deferred)",
        "create table c (a_long bigint references a (id))",
        "create table s2.d (a int references a (id))",
        "create table x (id int primary key)",
        "create table y (id int primary key, x int references x (id))",
        "alter table x add y int references y (id)",
        "create index a_part on a (id) where b > 1",
        "create index a_gin on a using gin (to_tsvector('simple', note))",
        "create unique index a_low on a (lower(note))",
        "create view shown as select id, n, iv from a",
        "create view lost as select id from a where n > 1",
        "insert into a (id, b, code, note, iv, n, up) values (1, 7, 'ab', 'x', '1 day', 1.5, 1)",
        "insert into b values (5, 1)",
    )
    found = one.command("plan").expect(REFUSED).result
    texts = [f"{loss['object']}: {loss['message']}" for loss in found["losses"]]
    expected = {
        "public.a: check a_note_check is not enforced: CHECK ((note ~ '^x'::text))",
        'public.a: check a_g_check is not enforced, as column g is computed: ("g" > 0)',
        "public.a: column g is computed, and DuckDB has no constraints on such columns: NOT NULL"
        " and lengths are not enforced",
        "public.a: column m is not computed, but has its values: ((b)::numeric / 2.0)",
        "public.a: column made is not computed, but has its values: md5(note)",
        "public.a: column first does not count up, as another one does",
        "public.a: key a_n_key is less strict: 1.0 and 1.00 are two values of n",
        "public.a: foreign key a_up_fkey is not enforced, as rows refer to themselves, to each"
        " other in a circle, or over more than 100 rows: FOREIGN KEY (up) REFERENCES public.a(id)",
        "public.b: foreign key b_a_fkey has no ON DELETE SET NULL and no deferring in DuckDB",
        "public.c: foreign key c_a_long_fkey is not enforced, as a_long is BIGINT, and id INTEGER",
        "s2.d: foreign key d_a_fkey is not enforced, as DuckDB has none between schemas",
        "public.a: index a_part is not made, as DuckDB has no indexes with a condition: CREATE"
        " INDEX a_part ON public.a USING btree (id) WHERE (b > 1)",
        "public.a: index a_gin is not made, as DuckDB has no gin: CREATE INDEX a_gin ON public.a"
        " USING gin (to_tsvector('simple'::regconfig, note))",
        "view public.lost: is not made on the target: SELECT id FROM public.a WHERE (n >"
        " (1)::numeric);",
    }
    assert expected <= set(texts)
    others = sorted(set(texts) - expected)
    assert len(others) == 2, others
    assert others[0].startswith("public.a: index a_iv_key is not made: Invalid type Error")
    assert "refers to this table as well, and is made after it" in others[1]
    kinds = {loss["class"] for loss in found["losses"]}
    accepted = [word for kind in kinds for word in ("--accept", kind)]
    assert one.migrate(*accepted)["verified"] == "full"
    assert one.rows("select g, k, m, code from a") == [(14, 3, 3.5, "ab ")]
    one.run("insert into a (id, b, first) values (2, -7, 5)")
    assert one.rows("select g, k, second from a where id = 2") == [(-14, -3, 2)]
    assert one.rows("select n from shown order by id") == [("1.5",), (None,)]


def test_rows_that_refer_to_each_other_are_inserted_in_order(move: Moved) -> None:
    one = move(
        "create table staff (id int primary key, team int, no int, boss int references staff (id),"
        " name text not null, twice int generated always as (no * 2) stored)",
        "create table pages (book int, page int, of_book int, after int, unique (book, page),"
        " foreign key (of_book, after) references pages (book, page))",
        "create table heads (staff int references staff (id))",
        # those who refer to others come first
        "insert into staff select i, 1, i, case when i % 40 > 0 then i + 1 end, 'n' || i"
        " from generate_series(1, 400) i",
        "insert into pages values (1, 3, 1, 2), (1, 2, 1, 1), (1, 1, null, 7), (1, 7, 2, null)",
        "insert into heads select i from generate_series(1, 400) i",
    )
    found = one.migrate()
    assert (found["losses"], found["verified"], found["rows"]) == ([], "full", 804)
    assert one.rows("select count(*), sum(twice) from staff") == [(400, 400 * 401)]
    with pytest.raises(duckdb.ConstraintException):
        one.run("insert into staff (id, boss, name) values (999, 998, 'x')")
    with pytest.raises(duckdb.ConstraintException):
        one.run("insert into pages values (2, 1, 1, 99)")
    assert one.beside() == ["shop.duckdb"]


def test_rows_that_are_inserted_leave_memory() -> None:
    columns = [("a", Carried("VARCHAR", Sort.TEXT, "{0}"))]
    size = 1_000_000
    with duckdb.connect(":memory:", config={"memory_limit": "64MB"}) as session:
        session.execute("create table t (a varchar)")
        session.execute("begin")
        before = pa.total_allocated_bytes()
        for _ in range(20):
            fill(session, Name("main", "t"), columns, [("x" * (size // 100),)] * 100)
            assert pa.total_allocated_bytes() - before < 2 * size
        session.execute("commit")
        assert session.execute("select count(*) from t").fetchall() == [(2_000,)]


def test_expressions_mean_the_same(move: Moved) -> None:
    one = move(
        "create table t (id int primary key, c char(5), p numeric(8,2), q int, n text, d date,"
        " check (c <> 'no'), check (p * q >= 0.5), check (n like 'a%_'), check (q % 3 < 3),"
        " check (d >= '2020-01-01' and d < '2030-01-01'), check (n in ('abc', 'add')),"
        " check (coalesce(q, 1) between 1 and 100), total numeric(10,2) generated always as"
        " (p * q) stored, half int generated always as (-q / 2) stored,"
        " whole numeric(12,1) generated always as ((q)::numeric) stored,"
        " words text generated always as (upper(n) || '-' || (q)::text) stored)",
        "insert into t select i, 'yes', i * 1.25, i, case when i % 2 = 0 then 'abc' else 'add'"
        " end, date '2020-01-01' + i from generate_series(1, 99) i",
    )
    found = one.migrate()
    assert (found["losses"], found["verified"]) == ([], "full")
    same = "select total, half, whole, words from t order by id"
    assert one.rows(same) == [tuple(row) for row in one.source.rows(same)]
    for broken in (
        "insert into t (id, c) values (200, 'no')",
        "insert into t (id, c) values (200, 'no   ')",
        "insert into t (id, p, q) values (200, 0.1, 4)",
        "insert into t (id, n) values (200, 'Abc')",
        "insert into t (id, d) values (200, '2030-01-01')",
        "insert into t (id, c) values (200, 'longer than 5')",
    ):
        with pytest.raises(duckdb.ConstraintException):
            one.run(broken)
    one.run("insert into t (id, p, q, n) values (201, 0.1, 5, 'abc')")


def test_a_file_that_another_process_has_open_is_named(move: Moved) -> None:
    one = move("create table t (id int primary key)")
    one.run("create table mine (id int)")
    hold = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True);"
        " sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(one.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == b"open\n"
        found = one.command("plan")
        other.stdin.close()
    assert "is open in another process" in found.said
    one.migrate()


def test_rows_that_break_a_foreign_key_end_the_run_clearly(move: Moved) -> None:
    one = move(
        "create table p (id int primary key)",
        "create table c (p int references p (id), secret text)",
        "insert into p values (1)",
        "insert into c values (1, 'secret')",
    )
    place = "call windlass.flows.convert.steps._copied 2"
    kill(place, ["migrate"], one.env)
    one.source.run("insert into p values (47114711)", "insert into c values (47114711, 'secret')")
    found = one.command("migrate")
    assert found.code != 0
    assert "refers to no row" in found.said and "--restart" in found.said
    assert "47114711" not in found.said and "secret" not in found.said
    assert one.migrate("--restart")["rows"] == 4
    assert one.beside() == ["shop.duckdb"]
