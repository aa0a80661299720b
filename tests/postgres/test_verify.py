"""A comparison finds what differs, names the keys and the columns, and can repair it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from command import DIFFERENT, DONE, REFUSED, migrate, verify, windlass
from corpora import corpora, corpus
from oracle import content_difference, contents, schema_difference, schema_dump
from servers import Database, Pair, Server

FAMILIES = ("tables", "constraints", "partitions", "triggers")


@pytest.fixture(scope="module")
def original(server: Callable[[int], Server], template: Callable[..., Database]) -> Iterator[Pair]:
    target = server(18).create_database()
    pair = Pair(template(16, *map(corpus, FAMILIES)), target)
    migrate(pair, "--verify", "none").expect(DONE)
    yield pair
    target.server.drop_database(target)


@pytest.fixture
def moved(original: Pair, copied: Callable[[Database], Database]) -> Pair:
    return Pair(copied(original.source), copied(original.target))


Differences = list[dict[str, Any]]


def differences(pair: Pair, *words: str) -> Differences:
    """All but the differing counts of relations whose differing rows are listed as well."""
    found = verify(pair, *words).expect(DIFFERENT).result["differences"]
    listed = {one["object"] for one in found if one["kind"] != "count"}
    return [one for one in found if one["kind"] != "count" or one["object"] not in listed]


def test_equal_databases_are_called_equal(moved: Pair) -> None:
    done = verify(moved).expect(DONE).result
    assert done["differences"] == []
    assert done["verified"] == "full"
    assert {one["verified"] for one in done["relations"]} == {"full"}


def test_one_changed_value_is_found_by_key_and_column_without_being_shown(moved: Pair) -> None:
    moved.target.run("update plain.many set b = 'tell-tale' where id = 12346")
    ran = verify(moved).expect(DIFFERENT)
    (found,) = ran.result["differences"]
    assert found["kind"] == "changed"
    assert found["object"] == "plain.many"
    assert found["key"] == {"id": "12346"}
    assert found["columns"] == ["b"]
    assert "tell-tale" not in ran.said
    (shown,) = differences(moved, "--show-values")
    assert shown["target"]["b"] == "tell-tale"
    assert shown["source"]["b"] not in (None, "tell-tale")


def test_missing_and_extra_rows_are_found_by_key(moved: Pair) -> None:
    moved.target.run(
        "delete from plain.many where id in (1, 5000, 20000)",
        "insert into plain.many (id, a) values (-7, 1), (999999, 2)",
        "delete from rules_of.composite_key where z = 'C' and x < '2020-01-02'",
    )
    found = differences(moved)
    keys = {(one["kind"], one["object"], one["key"].get("id")) for one in found}
    assert {key for key in keys if key[1] == "plain.many"} == {
        ("missing", "plain.many", "1"),
        ("missing", "plain.many", "5000"),
        ("missing", "plain.many", "20000"),
        ("extra", "plain.many", "-7"),
        ("extra", "plain.many", "999999"),
    }
    (composite,) = [one for one in found if one["object"] == "rules_of.composite_key"]
    assert set(composite["key"]) == {"z", "y", "x"}


def test_every_kind_of_key_leads_to_its_row(moved: Pair) -> None:
    names = moved.target.rows(
        "select relname::text from pg_class where relname ~ '^key_' and relkind = 'r'"
        " and relname not like '%nullable'"
    )
    for (name,) in names:
        first = f"(select k from rules_of.{name} order by k offset 1 limit 1)"
        moved.target.run(f"update rules_of.{name} set v = 4711 where k = {first}")
    found = differences(moved)
    assert {one["object"] for one in found} == {f"rules_of.{name}" for (name,) in names}
    assert all(one["columns"] == ["v"] and set(one["key"]) == {"k"} for one in found)


def test_rows_without_a_key_are_found_by_content(moved: Pair) -> None:
    moved.target.run(
        "delete from plain.keyless where ctid = (select min(ctid) from plain.keyless)",
        "insert into plain.keyless values (4711, 'extra'), (4711, 'extra')",
        "insert into plain.no_columns default values",
    )
    found = differences(moved)
    assert {one["object"] for one in found} == {"plain.keyless", "plain.no_columns"}
    assert {one["kind"] for one in found if one["object"] == "plain.keyless"} == {
        "missing",
        "extra",
    }


def test_rows_with_an_empty_key_are_compared_as_well(moved: Pair) -> None:
    moved.target.run(
        "update rules_of.key_composite_nullable set v = 99 where a is null and b is null and v = 4"
    )
    assert {one["object"] for one in differences(moved)} == {"rules_of.key_composite_nullable"}


def test_a_row_in_the_wrong_partition_is_found(moved: Pair) -> None:
    moved.target.run(
        "alter table parts.split detach partition parts.split_1",
        "insert into parts.split_1 values (2, 'two')",
        "alter table parts.split_1 drop constraint if exists split_1_id_check",
    )
    assert differences(moved)


def test_sequences_and_large_objects_are_compared(pair: Pair) -> None:
    pair.source.load(corpus("sequences"), corpus("large_objects"))
    migrate(pair, "--verify", "none").expect(DONE)
    verify(pair).expect(DONE)
    pair.target.run(
        "select setval('counting.used', 6)",
        "select lo_put(500005, 1000000, 'x')",
        "select lo_unlink(500001)",
    )
    found = differences(pair)
    assert [one["object"] for one in found if one["kind"] == "sequence"] == ["counting.used"]
    assert len([one for one in found if one["kind"] == "large object"]) == 2
    verify(pair, "--repair", "--yes").expect(DONE)
    assert content_difference(pair.source, pair.target) == []


DEFINITIONS = [
    "drop index plain.one_id",
    "alter table plain.defaults alter id set default 8",
    "alter table plain.defaults alter id drop default",
    'alter table plain."check" drop constraint a_check',
    "alter table plain.not_nulls alter a drop not null",
    "alter table plain.no_rows add column more int",
    "alter table plain.no_rows alter a type varchar(5)",
    "drop view seen.simple cascade",
    "alter table trig.watched enable trigger disabled",
    "drop function trig.refuse() cascade",
    "drop trigger note_all on trig.watched",
    "drop table plain.no_columns",
    "alter table rules_of.checks drop constraint validated",
    "alter sequence counting.used increment by 2",
    "comment on table plain.no_rows is 'new'",
    "grant select on plain.no_rows to corpus_reader",
    "alter table plain.no_rows owner to corpus_reader",
    "drop policy own_rows on secured.mine",
    "alter table secured.mine no force row level security",
]


@pytest.mark.parametrize("first", range(0, len(DEFINITIONS), 5))
def test_differences_of_definition_are_found(pair: Pair, first: int) -> None:
    """By what the catalogs say, not by pg_dump: one kind of difference after the other, five of
    them after all that come before."""
    for name in (*FAMILIES, "views", "sequences", "row_security"):
        pair.source.load(corpus(name))
    pair.source.run("create index one_id on plain.many (id, a)")
    migrate(pair, "--verify", "none").expect(DONE)
    verify(pair).expect(DONE)
    pair.target.run(*DEFINITIONS[:first])
    before = [one for one in differences(pair) if one["kind"] == "schema"] if first else []
    unseen = []
    for change in DEFINITIONS[first : first + 5]:
        pair.target.run(change)
        found = [one for one in differences(pair) if one["kind"] == "schema"]
        if found == before:  # or its words: an object may differ already
            unseen.append(change)
        before = found
    assert unseen == []


def test_a_foreign_key_of_a_relation_that_is_not_compared_is_no_difference(pair: Pair) -> None:
    pair.source.run(
        "create schema inner_",
        "create schema outer_",
        "create table inner_.parent (id int primary key)",
        "create table outer_.child (id int primary key, parent int references inner_.parent)",
    )
    migrate(pair).expect(DONE)
    verify(pair, "--schema", "inner_").expect(DONE)
    pair.target.run("create table inner_.more (id int references inner_.parent)")
    verify(pair, "--schema", "inner_").expect(DONE)


def test_counts_alone_find_missing_rows_but_no_changed_ones(moved: Pair) -> None:
    moved.target.run("update plain.many set b = 'changed' where id = 1")
    verify(moved, "--verify", "counts").expect(DONE)
    moved.target.run("delete from plain.many where id = 2")
    (found,) = differences(moved, "--verify", "counts")
    assert found["kind"] == "count"


def test_repair_copies_what_differs_again_and_nothing_else(moved: Pair) -> None:
    before = moved.target.value("select count(*) from plain.many")
    highest = moved.target.value("select max(xmin::text::int8) from plain.many")
    moved.target.run(
        "update plain.many set b = 'tell-tale', c = null where id % 1000 = 1",
        "delete from plain.many where id between 4000 and 4020",
        "insert into plain.many (id, a) values (-7, 1)",
        "delete from plain.keyless where a < 3",
        "insert into plain.keyless values (1, 'extra')",
        "update rules_of.composite_key set data = 'x' where z = 'D'",
        "truncate rules_of.key_text",
        "delete from parts.ranged where day > '2021-06-01'",
        "insert into plain.identities (always, note) overriding system value values (9, 'extra')",
        "delete from plain.generated where a = 1",
    )
    done = verify(moved, "--repair", "--yes")
    assert content_difference(moved.source, moved.target) == []
    assert done.code == DONE, done.said[-3000:]
    verify(moved).expect(DONE)
    untouched = moved.target.value(
        "select count(*) from plain.many where xmin::text::int8 <= %s", [highest]
    )
    assert untouched > before / 2, "repair wrote rows that did not differ"


def test_repair_works_below_keys_triggers_rules_and_publications(pair: Pair) -> None:
    for name in ("foreign_keys", "rules", "row_security", "publications", "publication_of_all"):
        pair.source.load(corpus(name))
    migrate(pair).expect(DONE)
    with pair.target.connect() as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("drop publication everything")
        for statement in (
            "delete from refs.customers where id < 5",
            "update refs.orders set customer = 7 where id = 100",
            "delete from rewrites.t where id > 15",
            "insert into rewrites.t values (99, 'extra')",
            "delete from secured.mine where id < 3",
            "delete from all_published.keyless",
            "insert into all_published.keyless values (1), (7)",
            "delete from published.t",
        ):
            connection.execute(statement.encode())
        connection.execute("create publication everything for all tables")
    verify(pair).expect(DIFFERENT)
    verify(pair, "--repair", "--yes").expect(DONE)
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def test_repair_is_not_fooled_by_triggers(pair: Pair) -> None:
    """Some fire for everybody (ALWAYS), some just for replication (REPLICA): none may here."""
    pair.source.load(corpus("triggers"))
    migrate(pair).expect(DONE)
    pair.target.run(
        "set session_replication_role = replica",
        "delete from trig.all_off",
        "delete from trig.watched where id < 10",
        "update trig.watched set changed = null where id > 90",
        "delete from trig.parts",
    )
    verify(pair).expect(DIFFERENT)
    verify(pair, "--repair", "--yes").expect(DONE)
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def test_a_plan_and_a_comparison_write_nothing_to_either_side(moved: Pair) -> None:
    moved.target.run("delete from plain.many where id < 100")
    sides = (moved.source, moved.target)
    before = [(schema_dump(side), contents(side)) for side in sides]
    windlass("plan", "--include", "plain.*", pair=moved).expect(REFUSED)
    differences(moved)
    assert [(schema_dump(side), contents(side)) for side in sides] == before


@pytest.mark.parametrize("pair", [(16, 16), (16, 18), (18, 18), (15, 18)], indirect=True)
def test_every_corpus_is_called_equal_after_its_move(pair: Pair) -> None:
    """No false alarm, on any pair of versions: a separate comparison, not the migration's."""
    versions = pair.source.server.version, pair.target.server.version
    losing = {"inheritance_order", "foreign_keys_broken", "subscriptions", "indexes_invalid"}
    losing |= {"foreign_data"}
    pair.source.load(*[path for path in corpora("*", *versions) if path.stem not in losing])
    accept = ("--accept", "behaviour", "--accept", "constraints")
    migrate(pair, "--verify", "none", *accept).expect(DONE)
    assert verify(pair).expect(DONE).result["differences"] == []
