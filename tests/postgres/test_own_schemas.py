"""A source that was once a target: windlass's own schemas are left out, and schemas that only have
such names are migrated."""

from __future__ import annotations

import pytest

from command import DONE, REFUSED, migrate, verify
from servers import Database, Pair

TABLES = (
    "select n.nspname || '.' || relname from pg_class c join pg_namespace n on n.oid = relnamespace"
    " where relkind = 'r' and nspname !~ '^(pg_|information_schema|windlass$)' order by 1"
)


def tables(database: Database) -> list[str]:
    return [name for (name,) in database.rows(TABLES)]


@pytest.fixture
def used(pair: Pair) -> Pair:
    """Its source is one into which a run has replaced something of every sort."""
    old = ("create table t (id serial primary key, a int)", "insert into t (a) values (1), (2)")
    pair.target.run(*old, "create publication p for table t", "create view v as select * from t")
    pair.source.run(*old, "insert into t (a) values (3)", "create publication p")
    pair.target.run("create view seen as select a from t")
    migrate(Pair(pair.source, pair.target), "--existing", "replace").expect(DONE)
    third = pair.target.server.create_database()
    return Pair(pair.target, third)


@pytest.mark.parametrize("pair", [(15, 15), (16, 18)], indirect=True)
def test_what_earlier_runs_have_kept_on_the_source_is_left_out_and_named(used: Pair) -> None:
    done = migrate(used).expect(DONE).result
    assert tables(used.target) == ["public.t"]
    assert used.target.rows("select pubname from pg_publication") == [("p",)]
    assert used.target.rows("select a from v order by a") == [(1,), (2,), (3,)]
    (notice,) = [one for one in done["notices"] if "left out" in one]
    assert notice.startswith("left out, as windlass has made them: schemas windlass, windlass_")
    verify(used).expect(DONE)


def test_a_source_that_holds_nothing_else_is_empty(used: Pair) -> None:
    used.source.run("drop view seen, v", "drop table t")
    used.target.run("create table other (a int)")
    (problem,) = migrate(used).expect(REFUSED).result["problems"]
    assert problem["object"] == "source" and "swapped" in problem["hint"]


def test_what_was_set_aside_on_the_target_does_not_count_as_its_tables(pair: Pair) -> None:
    pair.source.run("create table t (a int)")
    pair.target.run("create table t (a int)")
    migrate(pair, "--existing", "replace").expect(DONE)
    pair.target.run("drop table t")
    pair.source.run("drop table t")
    migrate(pair).expect(DONE)


def test_a_user_s_schema_that_is_only_called_so_is_migrated(pair: Pair) -> None:
    named = ("windlass_x", "windlass_20260101_0101_abcd_public")
    for schema in named:
        pair.source.run(f"create schema {schema}", f"create table {schema}.t as select 1 as a")
    done = migrate(pair).expect(DONE).result
    assert tables(pair.target) == sorted(f"{schema}.t" for schema in named)
    assert not any("windlass" in one for one in done["notices"])
    verify(pair).expect(DONE)


def test_the_mark_alone_does_not_make_a_schema_ours(pair: Pair) -> None:
    schema = "windlass_20260101_0101_abcd_public"
    admin = pair.source.server.admin
    admin.run("create role own_schema_maker")
    try:
        pair.source.run(
            f"create schema {schema} authorization own_schema_maker",
            f"comment on schema {schema} is 'Set aside by windlass: it is not'",
            f"create table {schema}.t as select 1 as a",
        )
        migrate(pair).expect(DONE)
        assert tables(pair.target) == [f"{schema}.t"]
    finally:
        pair.source.run("drop owned by own_schema_maker cascade")
        admin.run("drop role own_schema_maker")


def test_a_user_s_schema_of_the_journal_s_name_is_a_named_loss(pair: Pair) -> None:
    pair.source.run("create schema windlass", "create table windlass.run (a int)")
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["object"] == "schema windlass" and "--accept objects" in problem["hint"]
    (loss,) = migrate(pair, "--accept", "objects").expect(DONE).result["losses"]
    assert loss["object"] == "schema windlass"


def test_what_of_the_user_s_needs_something_set_aside_is_a_named_loss(used: Pair) -> None:
    aside = used.source.value("select nspname from pg_namespace where nspname like 'windlass\\_%'")
    used.source.run(f"create view old as select * from {aside}.t")
    refused = migrate(used).expect(REFUSED).result["problems"]
    assert [one["object"] for one in refused] == ["view public.old"]
    migrate(used, "--accept", "objects").expect(DONE)
    ran = verify(used).expect(DONE).result["losses"]
    assert [one["object"] for one in ran] == ["view public.old"]


def test_copies_of_large_objects_are_named(pair: Pair) -> None:
    pair.source.run("select lo_from_bytea(77, 'theirs')")
    pair.target.run("select lo_from_bytea(77, 'mine'), lo_from_bytea(78, 'mine')")
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    third = Pair(pair.target, pair.target.server.create_database())
    notices = migrate(third).expect(DONE).result["notices"]
    (notice,) = [one for one in notices if "large object" in one]
    assert f"1 large object that run {run} has set aside" in notice
    assert third.target.value("select count(*) from pg_largeobject_metadata") == 3
    verify(third).expect(DONE)
