"""A renamed schema: references follow, text that only looks like one does not."""

from __future__ import annotations

import pytest

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, migrate, verify
from corpora import corpus
from oracle import content_difference, schema_difference
from servers import Pair

# each makes its own schema and names no other; bodies in quotes are text, and stay as is
FAMILIES = {
    "collations": "sorted",
    "constraints": "rules_of",
    "foreign_keys": "refs",
    "indexes": "idx",
    "inheritance": "families",
    "partitions": "parts",
    "sequences": "counting",
    "statistics": "planned",
    "tables": "plain",
    "types": "kinds",
    "views": "seen",
}
BODIES_ARE_TEXT = {"constraints", "tables", "views"}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_family_moves_into_a_schema_of_another_name(pair: Pair, family: str) -> None:
    """The same as moving it and renaming the schema afterwards; the server is the judge."""
    old = FAMILIES[family]
    pair.source.load(corpus(family))
    words = ("--map-schema", f"{old}=Store 2")
    migrate(pair, *words, "--accept", "behaviour").expect(DONE)
    verify(pair, *words).expect(DONE)
    pair.source.run(f'alter schema {old} rename to "Store 2"')
    if family not in BODIES_ARE_TEXT:
        assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []


def test_differences_are_found_and_repaired_under_the_other_name(pair: Pair) -> None:
    pair.source.load(corpus("tables"))
    words = ("--map-schema", "plain=store")
    migrate(pair, *words).expect(DONE)
    pair.target.run("update store.many set b = 'changed' where id = 4")
    (found,) = verify(pair, *words).expect(DIFFERENT).result["differences"]
    assert "many" in found["object"]
    verify(pair, *words, "--repair", "--yes").expect(DONE)
    pair.source.run("alter schema plain rename to store")
    assert content_difference(pair.source, pair.target) == []


def test_two_schemas_may_change_places(pair: Pair) -> None:
    pair.source.run(
        "create schema a",
        "create schema b",
        "create table a.t (id int primary key, name text default 'a')",
        "create table b.t (id int primary key references a.t, name text default 'b')",
        "insert into a.t values (1), (2)",
        "insert into b.t values (1)",
        "create view a.v as select x.name as x, y.name as y from a.t x join b.t y using (id)",
    )
    words = ("--map-schema", "a=b", "--map-schema", "b=a", "--accept", "behaviour")
    migrate(pair, *words).expect(DONE)
    assert pair.target.value("select count(*) from b.t") == 2
    assert pair.target.rows("select x, y from b.v") == [("a", "b")]


def test_beside_the_same_schema_on_the_target(pair: Pair) -> None:
    pair.source.load(corpus("tables"))
    pair.target.run("create schema plain", "create table plain.many (own int)")
    migrate(pair, "--map-schema", "plain=plain_copy").expect(DONE)
    assert pair.target.value("select count(*) from plain.many") == 0
    count = "select count(*) from plain.many"
    assert pair.target.value("select count(*) from plain_copy.many") == pair.source.value(count)


def test_two_schemas_cannot_become_one(pair: Pair) -> None:
    pair.source.run("create schema a", "create schema b", "create table a.t (a int)")
    ran = migrate(pair, "--map-schema", "a=c", "--map-schema", "b=c")
    assert ran.code in (BAD_SPEC, REFUSED)


def test_a_schema_cannot_take_the_name_of_another_that_moves_too(pair: Pair) -> None:
    pair.source.run(
        "create schema a", "create schema b", "create table a.t (a int)", "create table b.t (b int)"
    )
    ran = migrate(pair, "--map-schema", "a=b")
    assert ran.code in (BAD_SPEC, REFUSED)


NAMING = {
    "c regclass default 's.t'::regclass": "s.t",
    "p regproc default 's.f'::regproc": "s.f",
    "d regprocedure default 's.f(s.mood)'::regprocedure": "s.f(s.mood)",
    "y regtype default 's.mood'::regtype": "s.mood[]",
    "n regnamespace default 's'::regnamespace": "s",
    "o regoperator default 's.===(integer,integer)'::regoperator": "s.===(integer,integer)",
    "l regclass[] default '{s.t}'::regclass[]": '{pg_class,"s.\\"T u\\""}',
    "m s.place": "s.t",
    "w s.pair": "(s.t,1)",
}


def make_names(pair: Pair, *rows: str) -> None:
    pair.source.run(
        "create schema s",
        "create type s.mood as enum ('low')",
        "create function s.f(s.mood) returns int language sql as 'select 1'",
        "create function s.plus(int, int) returns int language sql as 'select $1 + $2'",
        "create operator s.=== (function = s.plus, leftarg = int, rightarg = int)",
        "create table s.t (a int)",
        'create table s."T u" (a int)',
        "create domain s.place as regclass",
        "create type s.pair as (c regclass, n int)",
        f"create table s.names (a int, {', '.join(NAMING)})",
        *rows,
    )


def test_values_that_name_objects_of_a_schema_with_another_name_are_refused(pair: Pair) -> None:
    texts = [f"'{text}'" for text in NAMING.values()]
    none = ", ".join(["null"] * len(texts))
    make_names(
        pair,
        f"insert into s.names values (1, {', '.join(texts)}), (2, {none})",
        "create table s.fine (c regclass, r regrole, x text)",
        "insert into s.fine values ('pg_class', 'corpus_owner', 's.t')",
    )
    problems = migrate(pair, "--map-schema", "s=other").expect(REFUSED).result["problems"]
    assert {one["object"] for one in problems} == {"s.names"}
    assert [one["message"].partition(" objects")[0] for one in problems] == [
        f"column {name.split()[0]}: 1 value names" for name in NAMING
    ]
    words = ("--map-schema", "s=other", "--exclude", "s.names")
    migrate(pair, *words).expect(DONE)


def test_defaults_that_name_objects_of_a_schema_follow_its_name(pair: Pair) -> None:
    make_names(pair)
    words = ("--map-schema", "s=other")
    migrate(pair, *words).expect(DONE)
    verify(pair, *words).expect(DONE)
    pair.target.run("insert into other.names (a) values (1)")
    columns = ", ".join(f"{name.split()[0]}::text" for name in list(NAMING)[:7])
    (found,) = pair.target.rows(f"select {columns} from other.names")
    assert found == (
        "other.t", "other.f", "other.f(other.mood)", "other.mood", "other",
        "other.===(integer,integer)", "{other.t}",
    )  # fmt: skip
