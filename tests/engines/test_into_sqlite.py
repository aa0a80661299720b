"""A migration from PostgreSQL into an SQLite file: what arrives, and what is named as lost. What is
the same for all files is in test_into_files.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from command import REFUSED
from file_moves import SHOP, IntoSqlite
from servers import Database

Moved = Callable[..., IntoSqlite]


@pytest.fixture
def move(database: Callable[[int], Database], tmp_path: Path) -> Moved:
    def make(*statements: str) -> IntoSqlite:
        source = database(16)
        source.run(*statements)
        return IntoSqlite(source, tmp_path / "shop.db")

    return make


def test_it_is_what_sqlite_makes_of_it(move: Moved) -> None:
    one = move(*SHOP)
    assert one.migrate()["losses"] == []
    assert one.rows("pragma integrity_check") == [("ok",)]
    assert one.rows("pragma foreign_key_check") == []
    assert one.rows("select name, price, tags, active, state from customers where id = 7") == [
        ("n7", "7.70", '["a","7"]', 1, "it's {odd}")
    ]
    one.run("delete from customers where id = 1")
    assert one.rows("select count(*) from items where customer = 1") == [(0,)]
    indexes = "select name, sql from sqlite_schema where type = 'index' and sql is not null"
    assert {name for name, _ in one.rows(indexes)} == {
        "customers_email_key", "items_customer_note_key", "items_qty", "items_note"
    }  # fmt: skip


# type, values in PostgreSQL's SQL, declared type in SQLite, what it stores
TYPES = [
    ("boolean", "true, false, null", "INTEGER", [1, 0, None]),
    ("smallint", "-32768, 32767", "INTEGER", [-32768, 32767]),
    ("bigint", "-9223372036854775808, 9223372036854775807", "INTEGER", [-(1 << 63), (1 << 63) - 1]),
    ("real", "0.1, 'Infinity', 1e-45", "REAL",
     [0.10000000149011612, float("inf"), 1.401298464324817e-45]),
    ("double precision", "0.1::float8 + 0.2, '-Infinity', 1.7976931348623157e308, 5e-324, 3",
     "REAL", [0.30000000000000004, float("-inf"), 1.7976931348623157e308, 5e-324, 3.0]),
    ("numeric", "'123456789012345678901234567890.123456789', 1.50, 'NaN', 'Infinity'", "TEXT",
     ["123456789012345678901234567890.123456789", "1.50", "NaN", "Infinity"]),
    ("numeric(12,2)", "1.5, -0.07", "TEXT", ["1.50", "-0.07"]),
    ("numeric(18,0)", "999999999999999999, -1", "INTEGER", [999999999999999999, -1]),
    ("numeric(19,0)", "9999999999999999999", "TEXT", ["9999999999999999999"]),
    ("money", "12.34", "TEXT", ["12.34"]),
    ("text", "'', E'a\\tb\\n', '\\N', 'é€😀'", "TEXT", ["", "a\tb\n", "\\N", "é€😀"]),
    ("varchar(3)", "'abc', 'é€😀'", "TEXT", ["abc", "é€😀"]),
    ("character(4)", "'a'", "TEXT", ["a   "]),
    ("bytea", "'', '\\x00ff5c'", "BLOB", [b"", b"\x00\xff\\"]),
    ("date", "'2026-11-29', 'infinity', '0044-03-15 BC'", "TEXT",
     ["2026-11-29", "infinity", "0044-03-15 BC"]),
    ("time", "'23:59:59.9', '24:00'", "TEXT", ["23:59:59.900000", "24:00:00.000000"]),
    ("timetz", "'10:00:00+02'", "TEXT", ["10:00:00+02"]),
    ("timestamp", "'2026-11-29 23:59:59.000001', '-infinity', '9999-12-31', '10000-01-01'", "TEXT",
     ["2026-11-29 23:59:59.000001", "-infinity", "9999-12-31 00:00:00.000000",
      "10000-01-01 00:00:00"]),
    ("timestamptz", "'2026-11-29 01:30:00+02', 'infinity'", "TEXT",
     ["2026-11-28 23:30:00.000000+00:00", "infinity"]),
    ("interval", "'1 year 2 mons 03:04:05.6'", "TEXT", ["1 year 2 mons 03:04:05.6"]),
    ("uuid", "'01234567-89AB-cdef-0123-456789abcdef'", "TEXT",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("jsonb", """'{"b": 1.50, "a": [null, "é"]}'""", "TEXT", ['{"a": [null, "é"], "b": 1.50}']),
    ("json", """'{"b":  1, "b": 2}'""", "TEXT", ['{"b":  1, "b": 2}']),
    ("int[]", "'{1,null}', '{{1,2},{3,4}}', '{}'", "TEXT", ["[1,null]", "[[1,2],[3,4]]", "[]"]),
    ("text[]", """'{"a,b",NULL,"q\\"uote"}'""", "TEXT", ['["a,b",null,"q\\"uote"]']),
    ("bit(3)", "'101'", "TEXT", ["101"]),
    ("inet", "'10.0.0.1/8'", "TEXT", ["10.0.0.1/8"]),
    ("int4range", "'[1,5)'", "TEXT", ["[1,5)"]),
    ("public.mood", "'sad', 'o''k {0}'", "TEXT", ["sad", "o'k {0}"]),
    ("point", "'(1.5,2)'", "TEXT", ["(1.5,2)"]),
]  # fmt: skip


def test_every_type_arrives_exactly(move: Moved) -> None:
    statements = ["create type public.mood as enum ('sad', 'o''k {0}')"]
    for at, (type_, values, _, _) in enumerate(TYPES):
        statements.append(f"create table t{at} (n int, v {type_})")
        given = ", ".join(
            f"({n}, cast({value} as text)::{type_})" for n, value in enumerate(_split(values))
        )
        statements.append(f"insert into t{at} values {given}")
    one = move(*statements)
    found = one.migrate()
    assert (found["verified"], found["losses"]) == ("full", [])
    stored = {
        type_: (
            one.rows(f"select type from pragma_table_info('t{at}') where name = 'v'")[0][0],
            [value for (value,) in one.rows(f"select v from t{at} order by n")],
        )
        for at, (type_, *_) in enumerate(TYPES)
    }
    assert stored == {type_: (declared, values) for type_, _, declared, values in TYPES}
    assert any("values: not for SQLite" in one for one in found["notices"])


def _split(values: str) -> list[str]:
    """Values of a row of TYPES: apart at commas that are in no text."""
    found, text, within = [], "", False
    for character in values:
        within ^= character == "'"
        if character == "," and not within:
            found.append(text.strip())
            text = ""
        else:
            text += character
    return [*found, text.strip()]


def test_no_value_is_lost_in_silence(move: Moved) -> None:
    one = move(
        "create table t (id int primary key, f float8, g float8 not null, a int[], n numeric)",
        "insert into t values (1, 'NaN', 'NaN', '[0:1]={7,8}', 1.23456789012345678901),"
        " (2, '-0', 1, '{1}', 0.1), (3, 'NaN', 2, null, 'NaN')",
    )
    assert set(one.problems()) == {
        ("public.t.f", "2 values: NaN, which SQLite takes for NULL"),
        ("public.t.f", "1 value: negative zero, which becomes 0: SQLite keeps no sign of it"),
        ("public.t.g", "1 value: NaN, which SQLite takes for NULL, in a column that is NOT"
         " NULL"),
        ("public.t.a", "1 value: an array whose first index is not 1, which is left out"),
    }  # fmt: skip
    kept = ("--type", "t.g=text")
    found = one.problems(*kept, "--type", "t.n=real")
    rounded = [text for name, text in found if name.endswith("n")]
    assert rounded == [
        "1 value: more digits than a REAL keeps: rounded",
        "1 value: NaN, which SQLite takes for NULL",
    ]
    moved = one.migrate(*kept, "--accept", "values")
    assert moved["verified"] == "full"
    assert {loss["class"] for loss in moved["losses"]} == {"values"}
    assert one.rows("select * from t") == [
        (1, None, "NaN", "[7,8]", "1.23456789012345678901"),
        (2, 0.0, "1", "[1]", "0.1"),
        (3, None, "2", None, "NaN"),
    ]


def test_what_sqlite_has_no_counterpart_for_is_named_with_its_text(
    move: Moved,
) -> None:
    one = move(
        "create domain short as text check (value <> 'bad')",
        "create table t (id int primary key, note text check (note ~ '^x'), email text,"
        " s short, ts tsvector, made text generated always as (md5(note)) stored,"
        " up timestamptz default now() + interval '1 day', n numeric(8,2), other bigserial,"
        " twice numeric(9,2) generated always as (n * 2) stored,"
        " amount numeric unique, exclude using gist (int4range(id, id + 1) with &&))",
        "create table u (id int, t int references t (id), old int)",
        "create domain evil as text check (length(value) < 9)",
        "alter table u add column domain_default text default 'x'::evil",
        "alter table u add constraint late foreign key (old) references t (id) not valid",
        "create index t_gin on t using gin (ts)",
        "create index t_part on t (id) where note ~ 'y'",
        "create view v as select note ~ 'x' as y from t",
        "create materialized view m as select id from t",
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger tr before insert on t for each row execute function f()",
        "insert into t (id, note, n) values (1, 'x', 1.25)",
    )
    found = one.command("plan").expect(REFUSED).result
    losses = {(loss["object"], loss["class"]): loss["message"] for loss in found["losses"]}
    by_kind = {kind: [text for (_, k), text in losses.items() if k == kind] for _, kind in losses}
    texts = [f"{loss['object']}: {loss['message']}" for loss in found["losses"]]
    for expected in (
        "public.t: check t_note_check is not enforced: CHECK ((note ~ '^x'::text))",
        "public.t.s: public.short is not enforced: CHECK ((VALUE <> 'bad'::text))",
        "public.t: column made is not computed, but has its values: md5(note)",
        "public.t: column twice is not computed, but has its values: (n * (2)::numeric)",
        "public.u: column domain_default has no default on the target: ('x'::text)::public.evil",
        "public.t: column up has no default on the target: (now() + '1 day'::interval)",
        "public.t: column other does not count up: only an INTEGER that is the primary key does in"
        " SQLite",
        "public.t: constraint t_int4range_excl is not enforced: EXCLUDE USING gist"
        " (int4range(id, (id + 1)) WITH &&)",
        "public.u: foreign key late is not enforced, as it was never validated on the source:"
        " FOREIGN KEY (old) REFERENCES public.t(id) NOT VALID",
        "public.t: key t_amount_key is less strict: 1.0 and 1.00 are two values of amount",
        "public.t: index t_gin is not made, as SQLite has no gin: CREATE INDEX t_gin ON public.t"
        " USING gin (ts)",
        "public.t: index t_part is not made, as its condition has no counterpart: CREATE INDEX"
        " t_part ON public.t USING btree (id) WHERE (note ~ 'y'::text)",
        "view public.v: is not made on the target: SELECT (note ~ 'x'::text) AS y FROM public.t;",
        "view public.m: is not made on the target: SELECT id FROM public.t;",
        "function public.f(): is not made on the target",
        "trigger public.t.tr: is not made on the target: CREATE TRIGGER tr BEFORE INSERT ON"
        " public.t FOR EACH ROW EXECUTE FUNCTION public.f()",
    ):
        assert expected in texts
    assert len(texts) == 16
    accepted = [word for kind in by_kind for word in ("--accept", kind)]
    assert one.migrate(*accepted)["verified"] == "full"
    assert one.rows("select made, twice from t") == [("9dd4e461268c8034f5c8564e155c67a6", "2.50")]


def test_what_no_row_shows_is_named_as_well(move: Moved) -> None:
    """The tables are empty. Texts of values differ: blanks at the end, digits, true and 1."""
    kept = {"n % 2": "i % 2", "n + n": "i + i", "length(c)": "length(s)", "c || s": "s || i"}
    kept |= {"b::text": "i::text", "s || b": "s || s", "upper(c)": "upper(s)", "s::char(9)": "s"}
    types = {"length": "int", "n": "numeric", "i": "int", "s::char(9)": "char(9)"}
    columns = [
        f"g{at} {types.get(text, types.get(text.split(' ')[0].split('(')[0], 'text'))}"
        f" generated always as ({text}) stored"
        for at, text in enumerate([*kept, *kept.values()])
    ]
    one = move(
        "create table t (id int primary key, i int, n numeric(9,3), b boolean, s text, c char(5),"
        f" {', '.join(columns)}, check (n % 2 = 0), check (length(c) > 1))"
    )
    found = one.command("plan").expect(REFUSED).result["losses"]
    lost = {name for loss in found for name in re.findall(r"(\w+) is not ", loss["message"])}
    assert lost == {*(f"g{at}" for at in range(len(kept))), "t_c_check", "t_n_check"}


def test_names_that_are_sqlites_are_refused(move: Moved) -> None:
    one = move("create table sqlite_own (id int)")
    assert one.problems() == [
        ("public.sqlite_own", "names that begin with sqlite_ are not free in SQLite")
    ]
