"""Values of the source that the target's relation cannot hold are counted before any is sent.

`fill` and `--data-only` send rows into relations whose columns may have other types.
"""

from __future__ import annotations

from typing import Any

import pytest

from command import DIFFERENT, DONE, REFUSED, migrate, verify, windlass
from servers import Pair

# source's type, target's type, a value that arrives whole, one that does not
NARROWING = [
    ("numeric(10,3)", "numeric(10,1)", "1.500", "1.234"),
    ("numeric", "numeric(20,2)", "1.5", "1.505"),
    ("numeric", "real", "1.25", "1.23456789012345678901"),
    ("numeric", "double precision", "1.25", "1.23456789012345678901"),
    ("double precision", "real", "0.5", "0.1234567890123"),
    ("bigint", "double precision", "7", "9007199254740993"),
    ("bigint", "real", "7", "16777217"),
    ("double precision", "integer", "7", None),
    ("double precision", "numeric(30,3)", "0.125", "0.0625"),
    ("timestamp", "timestamp(0)", "2020-01-01 00:00:00", "2020-01-01 00:00:00.123456"),
    ("timestamptz", "timestamptz(3)", "2020-01-01 00:00:00.5+00", "2020-01-01 00:00:00.0005+00"),
    ("timestamptz", "date", None, "2020-01-01 12:00:00+00"),
    ("timestamp", "date", "2020-01-01 00:00:00", "2020-01-01 12:00:00"),
    ("timestamp", "timestamptz", None, "2020-01-01 12:00:00"),
    ("time", "time(0)", "12:00:00", "12:00:00.4"),
    ("timetz", "time", None, "12:00:00+02"),
    ("interval", "interval day", "1 day", "1 day 02:00:03.5"),
    ("interval", "interval(0)", "1 day 02:00:03", "1 day 02:00:03.4"),
    ("json", "jsonb", '{"a": 1}', '{"a": 1, "a": 2}'),
    ("text", "integer", "7", "007"),
    ("text", "character(5)", "abcde", "abc"),
    ("character(5)", "character varying(3)", None, "abc"),
    ("text", "boolean", "t", "yes"),
    ("text", "uuid", "2d7c1d5e-0000-4000-8000-000000000001", "2D7C1D5E000040008000000000000001"),
    ("integer[]", "smallint[]", "{1,2}", None),
    ("text[]", "integer[]", "{1,2}", "{01,2}"),
    ("s.exact", "s.exact", "1.500", "1.234"),
    ("s.exact", "numeric(5,1)", "1.500", "1.234"),
]

WIDENING = [
    ("smallint", "integer", "-7"),
    ("integer", "bigint", "-7"),
    ("integer", "numeric", "-7"),
    ("integer", "numeric(12,2)", "-7"),
    ("integer", "double precision", "-7"),
    ("integer", "text", "-7"),
    ("numeric(10,2)", "numeric", "1.50"),
    ("numeric(10,2)", "numeric(12,4)", "1.50"),
    ("real", "double precision", "1e+06"),
    ("real", "double precision", "-0"),
    ("character varying(5)", "text", "é "),
    ("character varying(5)", "character varying(9)", "é "),
    ("character(5)", "text", "a"),
    ("character(5)", "character(9)", "a"),
    ("text", "character varying", "é "),
    ("timestamp(0)", "timestamp", "2020-01-01 00:00:00"),
    ("date", "timestamp", "2020-01-01"),
    ("date", "timestamp", "0044-03-15 BC"),
    ("date", "timestamp", "infinity"),
    ("cidr", "inet", "10.0.0.1/32"),
    ("bit(3)", "bit varying", "101"),
    ("uuid", "text", "2d7c1d5e-0000-4000-8000-000000000001"),
    ("s.mood", "text", "low"),
    ("text", "s.mood", "low"),
    ("s.exact", "numeric", "1.234"),
    ("jsonb", "json", '{"a": 1}'),
    ("json", "text", '{"b":1,  "a":2}'),
]


def make_types(pair: Pair) -> None:
    pair.source.run(
        "create schema s",
        "create type s.mood as enum ('low', 'high')",
        "create domain s.exact as numeric(10,3)",
    )
    pair.target.run(
        "create schema s",
        "create type s.mood as enum ('low', 'high', 'more')",
        "create domain s.exact as numeric(10,1)",
    )


def fill(pair: Pair, *words: str) -> Any:
    return migrate(pair, "--existing", "fill", *words)


def made(pair: Pair, cases: list[tuple[Any, ...]], values: Any) -> None:
    """A relation for each case, with what `values` says of it on the source."""
    make_types(pair)
    for at, (source, target, *texts) in enumerate(cases):
        pair.source.run(f"create table s.t{at} (id int primary key, v {source})")
        pair.target.run(f"create table s.t{at} (id int primary key, v {target})")
        with pair.source.connect() as connection:
            for number, text in enumerate(values(texts)):
                statement = f"insert into s.t{at} values ({number}, %s::text::{source})"
                connection.execute(statement.encode(), [text])


def test_what_a_narrower_type_would_change_is_counted_and_refused(pair: Pair) -> None:
    cases = [case for case in NARROWING if case[3] is not None]
    made(pair, cases, lambda texts: [None, texts[1], texts[1], *filter(None, texts[:1])])
    ran = migrate(pair, "--data-only").expect(REFUSED).result
    counted = {one["object"]: one["message"] for one in ran["problems"]}
    assert set(counted) == {f"s.t{at}" for at in range(len(cases))}
    assert [case for at, case in enumerate(cases) if "2 values" not in counted[f"s.t{at}"]] == []
    assert all("--accept values" in one["hint"] for one in ran["problems"])
    assert pair.target.value("select count(*) from s.t0") == 0


def test_values_that_fit_arrive_in_a_narrower_type_and_are_compared(pair: Pair) -> None:
    cases = [case for case in NARROWING if case[2] is not None]
    made(pair, cases, lambda texts: [None, texts[0]])
    done = migrate(pair, "--data-only").expect(DONE).result
    assert done["losses"] == []
    assert {one["verified"] for one in done["relations"]} == {"full"}


@pytest.mark.parametrize("words", [("--existing", "fill"), ("--data-only",)])
def test_a_wider_type_takes_every_value_and_a_change_is_seen_there(
    pair: Pair, words: tuple[str, ...]
) -> None:
    made(pair, WIDENING, lambda texts: [None, *texts])
    if "fill" in words:  # it compares the definitions of types as well
        pair.target.run("drop domain s.exact", "create domain s.exact as numeric(10,3)")
        pair.source.run("alter type s.mood add value 'more'")
    done = migrate(pair, *words).expect(DONE).result
    assert done["losses"] == []
    for at in range(len(WIDENING)):
        pair.target.run(f"update s.t{at} set v = null where id = 1")
    found = verify(pair).expect(DIFFERENT).result["differences"]
    changed = {one["object"] for one in found if one["kind"] == "changed"}
    assert changed == {f"s.t{at}" for at in range(len(WIDENING))}


def test_an_accepted_loss_is_named_with_its_count_and_what_was_to_arrive_is_verified(
    pair: Pair,
) -> None:
    pair.source.run(
        "create table t (id int primary key, n numeric(10,3), w text)",
        "insert into t select i, i + case when i < 4 then 0.123 else 0 end, i"
        " from generate_series(1, 10) i",
    )
    pair.target.run("create table t (id int primary key, n numeric(10,1), w text)")
    done = fill(pair, "--accept", "values").expect(DONE).result
    (loss,) = [one for one in done["losses"] if one["class"] == "values"]
    assert loss["object"] == "public.t"
    assert "column n: 3 values" in loss["message"]
    said = windlass("verify", pair=pair).expect(DIFFERENT).said
    assert "every row are equal" not in said
    found = verify(pair).result["differences"]
    rows = [one for one in found if one["kind"] == "changed"]
    assert {one["key"]["id"] for one in rows} == {"1", "2", "3"}
    assert {tuple(one["columns"]) for one in rows} == {("n",)}


def test_values_that_a_type_refuses_are_found_before_anything_is_written(pair: Pair) -> None:
    make_types(pair)
    pair.source.run(
        "create table s.a (v text)",
        "insert into s.a values ('x'), ('toolong'), ('long ')",
        "create table s.b (v text)",
        "insert into s.b values ('low'), ('odd'), ('odder')",
        "create table s.c (v text)",
        "insert into s.c values ('1'), ('one')",
        "create table s.d (v numeric)",
        "insert into s.d values (1e20)",
        "create table s.e (v text)",
        "create table s.f (v bit varying)",
        "insert into s.f values ('101'), ('1')",
        "create table s.made (a int)",
    )
    pair.target.run(
        "create type s.pair as (x int, y int)",
        "create table s.a (v varchar(4))",
        "create table s.b (v s.mood)",
        "create table s.c (v int)",
        "create table s.d (v numeric(4,1))",
        "create table s.e (v s.pair)",
        "create table s.f (v bit(3))",
    )
    ran = fill(pair, "--accept", "values").expect(REFUSED)
    reported = {one["object"]: one["message"] for one in ran.result["problems"]}
    assert set(reported) == {"s.a", "s.b", "s.c", "s.d", "s.e", "s.f"}
    assert "1 value does not fit" in reported["s.a"]
    assert "2 values do not fit" in reported["s.b"]
    assert "not every value of text is one of integer" in reported["s.c"]
    assert "not every value of numeric is one of numeric(4,1)" in reported["s.d"]
    assert "s.pair" in reported["s.e"]
    assert "1 value does not fit" in reported["s.f"]
    assert "toolong" not in ran.said and "odder" not in ran.said
    assert pair.target.value("select to_regclass('s.made')::text") is None


@pytest.mark.parametrize("words", [("--existing", "fill"), ("--data-only",)])
def test_nulls_that_the_target_refuses_are_counted_before_anything_is_written(
    pair: Pair, words: tuple[str, ...]
) -> None:
    pair.source.run(
        "create table t (a int, b int, c int not null)",
        "insert into t values (null, null, 1), (null, 1, 1), (1, 1, 1)",
        "create table u (a int)",
        "insert into u values (1)",
    )
    pair.target.run(
        "create table t (a int not null, b bigint not null, c int not null)",
        "create table u (a int not null)",
    )
    problems = migrate(pair, *words).expect(REFUSED).result["problems"]
    assert [(one["object"], one["message"]) for one in problems] == [
        ("public.t", "column a: 2 NULLs, and it is NOT NULL on the target"),
        ("public.t", "column b: 1 NULL, and it is NOT NULL on the target"),
    ]
    migrate(pair, *words, "--exclude", "t").expect(DONE)


def test_what_the_target_computes_is_compared_with_what_the_source_has(pair: Pair) -> None:
    pair.source.run(
        "create table t (id int primary key, a int, b int)",
        "insert into t values (1, 1, 2), (2, 2, 4), (3, 3, 7)",
        "create table u (id int primary key, a int, b int generated always as (a * 2) stored)",
        "insert into u values (1, 1), (2, 2)",
    )
    pair.target.run(
        "create table t (id int primary key, a int, b int generated always as (a * 2) stored)",
        "create table u (id int primary key, a int, b int)",
    )
    ran = fill(pair).expect(REFUSED).result
    assert [one["object"] for one in ran["problems"]] == ["public.t"]
    fill(pair, "--accept", "values").expect(DONE)
    assert pair.target.rows("select b from u order by id") == [(2,), (4,)]
    found = verify(pair).expect(DIFFERENT).result["differences"]
    rows = [one for one in found if one["kind"] == "changed"]
    assert [(one["object"], one["key"], one["columns"]) for one in rows] == [
        ("public.t", {"id": "3"}, ["b"])
    ]
