"""Every built-in type at its limits, and user-defined types, arrive to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import DIFFERENT, DONE, migrate, verify
from corpora import corpora, corpus
from oracle import content_difference, schema_difference
from servers import Pair

VERSIONS = [(16, 18), (18, 18), (15, 18)]


@pytest.mark.parametrize(
    ("pair", "path"),
    [
        pytest.param(versions, path, id=f"{versions[0]}-{versions[1]}-{path.stem}")
        for versions in VERSIONS
        for path in corpora("types", *versions)
    ],
    indirect=["pair"],
)
def test_extreme_values_arrive_to_the_last_bit(pair: Pair, path: Path) -> None:
    pair.source.load(path)
    done = migrate(pair).expect(DONE).result
    assert done["losses"] == []
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []


@pytest.mark.parametrize("words", [("ctid",), ("keyset",), ("whole",)])
def test_extreme_values_arrive_however_they_are_chunked(pair: Pair, words: tuple[str]) -> None:
    pair.source.load(corpus("extremes"))
    migrate(pair, "--chunk-by", *words, "--chunk-size", "64kB").expect(DONE)
    assert content_difference(pair.source, pair.target) == []


# pairs of values that are equal to the server's own =, or hash alike, and yet are not the same
LOOK_ALIKES = [
    ("numeric", "1.0", "1.00"),
    ("numeric", "0", "0.000"),
    ("float8", "0", "-0"),
    ("float4", "0", "-0"),
    ("interval", "1 mon", "30 days"),
    ("interval", "24:00:00", "1 day"),
    ("jsonb", "1.0", "1.00"),
    ("jsonb", '{"a": [0.10]}', '{"a": [0.1]}'),
    ("json", '{"a":1}', '{"a": 1}'),
    ("int[]", "{1,2}", "[0:1]={1,2}"),
    ("int[]", "{1,2}", "{{1,2}}"),
    ("int[]", "{{1,2},{3,4}}", "{{1,2,3,4}}"),
    ("text[]", "{NULL}", '{"NULL"}'),
    ("numeric[]", "{1.0}", "{1.00}"),
    ("float8[]", "{0}", "{-0}"),
    ("interval[]", "{1 mon}", "{30 days}"),
    ("numrange", "[1.0,2)", "[1.00,2)"),
    ("nummultirange", "{[1.0,2)}", "{[1.00,2)}"),
    ("alike.pair", "(1.0,x)", "(1.00,x)"),
    ("alike.pair[]", '{"(1.0,x)"}', '{"(1.00,x)"}'),
    ("alike.money", "1.0", "1.00"),
    ("alike.amount_range", "[1.0,2]", "[1.00,2]"),
    ("alike.tone", "low", "high"),
    ("alike.tone[]", "{low}", "{high}"),
    ("timetz", "12:00:00+00", "13:00:00+01"),
    ("varbit", "1", "10"),
    ("bit(3)", "100", "010"),
    ("path", "[(0,0),(1,1)]", "((0,0),(1,1))"),
    ("point", "(0,0)", "(-0,0)"),
    ("polygon", "((0,0),(1,1),(2,0))", "((1,1),(2,0),(0,0))"),
    ("box", "(1,1),(0,0)", "(1,1),(-0,0)"),
    ("circle", "<(0,0),1>", "<(0,0),1.0000001>"),
    ("tsvector", "a:1", "a:2"),
    ("tsvector", "a:1A", "a:1B"),
    ("tsquery", "a & b", "a | b"),
    ("text", "", None),
    ("text", "\u00e9", "e\u0301"),
    ("char(3)", "a", "b"),
    ("inet", "10.0.0.1/8", "10.0.0.1/16"),
    ("macaddr8", "08:00:2b:ff:fe:01:02:03", "08:00:2b:ff:fe:01:02:04"),
    ("bytea", "\\x00", "\\x0000"),
    ("daterange", "[2020-01-01,2020-01-02)", "empty"),
    ("pg_lsn", "0/1", "1/0"),
    ("bigint", "1", "4294967296"),
    ("bigint", "-1", "0"),
    ("bigint", "-2", "4294967297"),
    ("timestamptz", "2000-01-01 00:00:00.000001+00", "2000-01-01 01:11:34.967296+00"),
    ("time", "00:00:00.000001", "01:11:34.967296"),
    ("xid8", "1", "4294967296"),
    ("bigint[]", "{1}", "{4294967296}"),
    ("int8range", "[1,5)", "[4294967296,4294967297)"),
    ("pg_snapshot", "1:2:", "1:3:"),
    ("jsonpath", "$.a", "$.b"),
    ("regtype", "int4", "int8"),
    ("money", "0.01", "0.02"),
    ('"char"', "a", "b"),
    ("oidvector", "1 2", "12"),
]


def test_values_that_look_alike_to_the_server_are_distinguished(pair: Pair) -> None:
    pair.source.run(
        "create schema alike",
        "create type alike.pair as (a numeric, b text)",
        "create domain alike.money as numeric",
        "create type alike.amount_range as range (subtype = numeric)",
        "create type alike.tone as enum ('low', 'high')",
    )
    for at, (type_, value, _) in enumerate(LOOK_ALIKES):
        name = f"alike.t{at}"
        pair.source.run(f"create table {name} (id int primary key, n int default 5, v {type_})")
        with pair.source.connect() as connection:
            statement = f"insert into {name} (id, v) values (1, %s::text::{type_}), (2, null)"
            connection.execute(statement.encode(), [value])
    migrate(pair).expect(DONE)
    for at, (type_, _, other) in enumerate(LOOK_ALIKES):
        with pair.target.connect() as connection:
            statement = f"update alike.t{at} set v = %s::text::{type_} where id = 1"
            connection.execute(statement.encode(), [other])
    found = verify(pair).expect(DIFFERENT).result["differences"]
    seen = {(found["object"], *found["columns"]) for found in found}
    assert [
        LOOK_ALIKES[at] for at in range(len(LOOK_ALIKES)) if (f"alike.t{at}", "v") not in seen
    ] == []


def test_rows_whose_values_changed_places_are_distinguished(pair: Pair) -> None:
    pair.source.run(
        "create table within (id int primary key, a int, b int)",
        "insert into within values (1, 10, 20)",
        "create table between (id int primary key, a text)",
        "insert into between values (1, 'x'), (2, 'y')",
        "create table shifted (id int primary key, a text, b text)",
        "insert into shifted values (1, 'x', null)",
        "create table joined (id int primary key, a text, b text)",
        "insert into joined values (1, 'ab', 'c')",
        "create table keyless (a int)",
        "insert into keyless values (1), (1), (2)",
    )
    migrate(pair).expect(DONE)
    pair.target.run(
        "update within set a = 20, b = 10",
        "update between set a = case id when 1 then 'y' else 'x' end",
        "update shifted set a = null, b = 'x'",
        "update joined set a = 'a', b = 'bc'",
        "update keyless set a = 2 where ctid = (select min(ctid) from keyless where a = 1)",
    )
    found = verify(pair).expect(DIFFERENT).result["differences"]
    assert {one["object"].removeprefix("public.") for one in found} == {
        "within", "between", "shifted", "joined", "keyless"
    }  # fmt: skip
