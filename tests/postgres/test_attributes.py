"""Attributes that dumps do not have are compared as well, and those only on the target are
named."""

from __future__ import annotations

import pytest

from command import DIFFERENT, DONE, migrate, verify, windlass
from copying import restore
from servers import Pair


def test_what_only_the_target_has_is_named_as_not_compared(pair: Pair) -> None:
    pair.source.run("create table t (a int)", "select lo_create(1)")
    restore(pair)
    pair.target.run(
        "create table extra (a int primary key)",
        "create view seen as select 1 as a",
        "create function f() returns int language sql as 'select 1'",
        "create schema elsewhere",
        "create table elsewhere.t (a int)",
        "select lo_create(2)",
    )
    assert sorted(verify(pair).expect(DONE).result["notices"]) == [
        "1 large object on the target only, not compared",
        "4 objects on the target only, not compared: function public.f(), table elsewhere.t,"
        " table public.extra and 1 more",
    ]
    text = windlass("verify", pair=pair).expect(DONE).stdout
    assert "4 objects on the target only, not compared: function" in " ".join(text.split())
    parts = verify(pair, "--schema", "public").expect(DONE).result["notices"]
    assert "elsewhere" not in str(parts)


def test_a_view_that_is_stale_on_the_source_is_no_difference_and_is_named(pair: Pair) -> None:
    pair.source.run(
        "create table t (a int)",
        "create materialized view m as select a from t",
        "insert into t values (1)",
    )
    stale = "materialized view public.m: is stale on the source, and is not on the target"
    assert stale in migrate(pair).expect(DONE).result["notices"]
    assert verify(pair).expect(DONE).result["notices"] == [stale]


def test_a_view_whose_query_asks_for_the_time_is_no_difference_and_is_named(pair: Pair) -> None:
    pair.source.run(
        "create table t (a int)",
        "insert into t values (1)",
        "create view latest as select a, now() as at from t",
        "create materialized view direct as select a, current_timestamp as at from t",
        "create materialized view through as select * from latest",
        "create materialized view random as select a, random() as r from t",
        "create materialized view plain as select a from t",
    )
    said = "its content is not compared, as its query asks for the time, the session or a random"
    named = [f"materialized view public.{name}: {said} number" for name in
             ("direct", "random", "through")]  # fmt: skip
    assert sorted(migrate(pair).expect(DONE).result["notices"]) == named
    assert sorted(verify(pair).expect(DONE).result["notices"]) == named
    pair.target.run(
        "insert into t values (2)", "refresh materialized view plain", "delete from t where a = 2"
    )
    (found,) = verify(pair).expect(DIFFERENT).result["differences"]
    assert found["object"] == "materialized view public.plain"


@pytest.mark.parametrize("pair", [(16, 16)], indirect=True)
def test_unchecked_foreign_keys_and_owners_of_schemas_of_another_name_are_compared(
    pair: Pair,
) -> None:
    pair.source.run(
        "create schema s authorization corpus_owner",
        "create table s.t (a int primary key, b int constraint fk references s.t)",
    )
    migrate(pair, "--map-schema", "s=other").expect(DONE)
    verify(pair, "--map-schema", "s=other").expect(DONE)
    pair.target.run(
        "alter schema other owner to postgres", "alter table other.t disable trigger all"
    )
    found = verify(pair, "--map-schema", "s=other").result["differences"]
    assert [(one["object"], one["message"]) for one in found] == [
        ("schema other", "owner: source: corpus_owner, target: postgres"),
        ("table other.t", "foreign key fk: source: as usual, target: not enforced"),
    ]
