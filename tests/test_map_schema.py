"""A schema under another name: what refers to it follows, what only looks like it does not."""

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
