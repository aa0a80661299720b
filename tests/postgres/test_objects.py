"""Everything pg_dump would carry arrives: one migration per family of objects, and one of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import DONE, migrate
from corpora import corpus
from oracle import content_difference, half_made, schema_difference
from servers import Pair
from whole import BEHAVIOUR, whole

# its own column stands before an inherited one, which no DDL makes again
REORDERED = [
    {
        "object": "families.kept",
        "message": "gets its columns in another order: the inherited ones first",
        "class": "behaviour",
    }
]


def assert_equal(pair: Pair) -> None:
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []
    assert set(half_made(pair.target)) <= set(half_made(pair.source))


def named(losses: list[dict[str, str]]) -> list[str]:
    return [f"{loss['object']}: {loss['message']}" for loss in losses]


@pytest.mark.parametrize("path", whole(16, 18), ids=lambda path: path.stem)
def test_a_family_of_objects_arrives_whole(pair: Pair, path: Path) -> None:
    pair.source.load(path)
    done = migrate(pair, *BEHAVIOUR).expect(DONE).result
    assert done["losses"] == (REORDERED if path.stem == "inheritance" else [])
    assert_equal(pair)


@pytest.mark.parametrize("pair", [(16, 18), (16, 16), (18, 18), (15, 18)], indirect=True)
def test_all_families_arrive_together(pair: Pair) -> None:
    pair.source.load(*whole(pair.source.server.version, pair.target.server.version))
    done = migrate(pair, *BEHAVIOUR).expect(DONE).result
    assert done["losses"] == REORDERED
    assert_equal(pair)


@pytest.mark.parametrize("pair", [(18, 18)], indirect=True)
def test_what_only_18_has_arrives(pair: Pair) -> None:
    pair.source.load(corpus("pg18_new"))
    migrate(pair).expect(DONE)
    assert_equal(pair)


@pytest.mark.parametrize("pair", [(15, 15)], indirect=True)
def test_extensions_of_debian_arrive(pair: Pair) -> None:
    pair.source.load(corpus("extensions_debian"))
    migrate(pair).expect(DONE)
    assert_equal(pair)


def test_a_child_with_its_own_order_of_columns_keeps_its_rows_and_is_named(pair: Pair) -> None:
    pair.source.load(corpus("inheritance_order"))
    done = migrate(pair, *BEHAVIOUR).expect(DONE).result
    assert content_difference(pair.source, pair.target) == []
    assert any("order_of.child" in loss for loss in named(done["losses"]))


def test_dirty_rows_leave_their_constraint_not_valid_as_a_loss_or_as_it_was(pair: Pair) -> None:
    pair.source.load(corpus("foreign_keys_dirty"))
    migrate(pair, "--accept", "constraints").expect(DONE)
    assert_equal(pair)


def test_a_broken_foreign_key_is_left_not_valid_and_named(pair: Pair) -> None:
    pair.source.load(corpus("foreign_keys_broken"))
    done = migrate(pair, "--accept", "constraints").expect(DONE).result
    assert content_difference(pair.source, pair.target) == []
    assert [loss for loss in named(done["losses"]) if "children_parent" in loss]
    assert dict(
        pair.target.rows(
            "select conname::text, convalidated from pg_constraint"
            " where contype = 'f' and connamespace = 'broke'::regnamespace"
        )
    ) == {"children_parent": False, "sound_child": True}


def test_foreign_data_arrive_without_the_password_that_is_named(pair: Pair) -> None:
    pair.source.load(corpus("foreign_data"))
    done = migrate(pair, "--accept", "secrets").expect(DONE)
    assert "not a real one" not in done.said
    assert [loss for loss in named(done.result["losses"]) if "password" in loss]
    pair.target.run(
        "alter user mapping for corpus_owner server there options (add password 'not a real one')"
    )
    assert_equal(pair)


def test_a_subscription_is_left_out_and_named(pair: Pair) -> None:
    pair.source.load(corpus("publications"), corpus("subscriptions"))
    done = migrate(pair, "--accept", "secrets").expect(DONE).result
    assert [loss for loss in named(done["losses"]) if "corpus_subscription" in loss]
    assert pair.target.value("select count(*) from pg_subscription_rel") == 0


def test_an_index_that_was_never_valid_is_named(pair: Pair) -> None:
    pair.source.load(corpus("indexes_invalid"))
    done = migrate(pair, "--accept", "objects").expect(DONE).result
    assert content_difference(pair.source, pair.target) == []
    assert pair.target.value("select to_regclass('left_over.valid') is not null")
    assert [loss for loss in named(done["losses"]) if "never_valid" in loss]


def test_a_stale_materialised_view_is_fresh_on_the_target(pair: Pair) -> None:
    pair.source.run(
        "create table t (a int)",
        "insert into t values (1)",
        "create materialized view m as select a from t",
        "insert into t values (2)",
    )
    migrate(pair).expect(DONE)
    assert pair.target.value("select count(*) from m") == 2


def test_an_owner_that_the_target_does_not_know_is_a_named_loss(pair: Pair) -> None:
    pair.source.server.admin.run(
        "drop role if exists only_here, only_reads_here",
        "create role only_here",
        "create role only_reads_here",
    )
    pair.source.run(
        "create table t (id int primary key)",
        "insert into t values (1)",
        "alter table t owner to only_here",
        "grant select on t to only_reads_here, corpus_reader",
    )
    done = migrate(pair).expect(DONE).result
    losses = named(done["losses"])
    assert [loss for loss in losses if "only_here" in loss]
    assert [loss for loss in losses if "only_reads_here" in loss]
    assert content_difference(pair.source, pair.target) == []
    assert pair.target.value("select has_table_privilege('corpus_reader', 't', 'select')")


def test_an_empty_database_moves(pair: Pair) -> None:
    done = migrate(pair).expect(DONE).result
    assert done["relations"] == []
    assert_equal(pair)


def test_the_target_keeps_what_was_there_and_is_not_touched(pair: Pair) -> None:
    pair.source.load(corpus("sequences"))
    pair.target.run(
        "create schema before", "create table before.t (a int)", "insert into before.t values (1)"
    )
    migrate(pair).expect(DONE)
    assert pair.target.rows("select a from before.t") == [(1,)]
    pair.target.run("drop schema before cascade")
    assert_equal(pair)


def test_a_finished_move_leaves_nothing_but_its_journal(pair: Pair) -> None:
    pair.source.load(corpus("foreign_keys"))
    migrate(pair).expect(DONE)
    pair.target.run("drop schema windlass cascade")
    assert_equal(pair)
