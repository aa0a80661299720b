"""What a comparison does not cover is never reported as equal: it is named, or a difference."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from command import DIFFERENT, DONE, REFUSED, migrate, verify, windlass
from servers import PASSWORD, Database, Pair


def differing(pair: Pair, *words: str) -> list[tuple[Any, ...]]:
    found = verify(pair, *words).expect(DIFFERENT).result["differences"]
    return sorted((one["object"], one["message"]) for one in found)


def on_both(pair: Pair, *statements: str) -> None:
    pair.source.run(*statements)
    pair.target.run(*statements)


def test_a_table_with_a_loss_is_missed_where_it_is_missing(
    pair: Pair, request: pytest.FixtureRequest
) -> None:
    server = pair.source.server
    place = server.folder / "elsewhere"
    place.mkdir()
    server._hand_over(place)
    pair.source.run(f"create tablespace elsewhere location '{place}'")
    request.addfinalizer(
        lambda: pair.source.run("drop table t", "drop tablespace elsewhere")  # the server is shared
    )
    pair.source.run("create table t (a int) tablespace elsewhere", "create table u (a int)")
    pair.target.run("create table u (a int)")
    assert differing(pair) == [("table public.t", "is missing on the target")]


@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)
def test_a_schema_and_an_extension_are_missed_where_they_are_missing(pair: Pair) -> None:
    pair.source.run(
        "create schema empty",
        "create extension hstore",
        "comment on extension hstore is null",
        "create table t (a int)",
    )
    pair.target.run("create table t (a int)")
    assert differing(pair) == [
        ("extension hstore", "is missing on the target"),
        ("schema empty", "is missing on the target"),
    ]
    verify(pair, "--include", "public.t").expect(DONE)


def test_grants_are_compared_where_the_owner_cannot_be_the_same(
    pair: Pair, request: pytest.FixtureRequest
) -> None:
    pair.source.run("create role at_home")
    request.addfinalizer(lambda: pair.source.run("drop owned by at_home", "drop role at_home"))
    pair.source.run(
        "create table t (a int)",
        "alter table t owner to at_home",
        "revoke delete on t from at_home",
        "grant select on t to corpus_reader",
    )
    migrate(pair).expect(DONE)
    verify(pair).expect(DONE)
    pair.target.run("grant insert on t to public")
    ((name, message),) = differing(pair)
    assert name == "acl public.TABLE t"
    assert "TO PUBLIC" in message


def test_a_column_that_the_target_lacks_is_named_where_rows_alone_are_compared(pair: Pair) -> None:
    pair.source.run("create table t (a int primary key, b int)", "insert into t values (1, 2)")
    pair.target.run("create table t (a int primary key)", "insert into t values (1)")
    assert differing(pair, "--data-only") == [("table public.t", "has no column b on the target")]


def test_views_and_sequences_are_compared_where_rows_alone_are(pair: Pair) -> None:
    on_both(
        pair,
        "create table t (a int)",
        "create materialized view fuller as table t",
        "create materialized view gone as table t",
        "create materialized view same as table t",
        "create sequence s",
    )
    pair.target.run(
        "insert into t values (1)",
        "refresh materialized view fuller",
        "delete from t",
        "drop materialized view gone",
        "drop sequence s",
    )
    assert [name for name, _ in differing(pair, "--data-only")] == [
        "materialized view public.fuller",
        "materialized view public.gone",
        "sequence public.s",
    ]


def test_views_that_are_not_refreshed_with_rows_alone_are_named(pair: Pair) -> None:
    on_both(pair, "create table t (a int)", "create materialized view m as table t")
    pair.source.run("insert into t values (1)", "refresh materialized view m")
    done = migrate(pair, "--data-only").expect(DONE).result
    assert done["notices"] == ["public.m is not refreshed, as only rows are migrated"]
    assert [name for name, _ in differing(pair)] == ["materialized view public.m"]


def test_rows_in_partitions_that_only_the_target_has_are_named(pair: Pair) -> None:
    on_both(
        pair,
        "create table t (a int) partition by list (a)",
        "create table t_1 partition of t for values in (1)",
        "create table parent (a int)",
    )
    pair.target.run(
        "create table t_2 partition of t for values in (2)",
        "create table child () inherits (parent)",
        "insert into t values (2)",
    )
    assert differing(pair, "--data-only") == [
        ("table public.child", "is a part of public.parent on the target only: its rows are in it"),
        ("table public.t_2", "is a part of public.t on the target only: its rows are in it"),
    ]


def test_a_partition_that_is_left_out_is_no_difference(pair: Pair) -> None:
    on_both(
        pair,
        "create table t (a int) partition by list (a)",
        "create table t_1 partition of t for values in (1)",
        "create table t_2 partition of t for values in (2)",
    )
    for words in (("--exclude", "t_2"), ("--include", "t_1")):
        assert verify(pair, *words).expect(DONE).result["notices"] == []
        verify(pair, *words, "--data-only").expect(DONE)


def test_a_relation_that_only_the_target_has_partitioned_is_read_as_a_whole(pair: Pair) -> None:
    pair.source.run("create table t (a int)", "insert into t values (1), (2)")
    pair.target.run(
        "create table t (a int) partition by list (a)",
        "create table t_1 partition of t for values in (1, 2)",
        "insert into t values (1), (2)",
    )
    verify(pair, "--data-only").expect(DONE)


def test_an_owner_is_compared_by_somebody_who_may_give_nothing_to_him(
    pair: Pair, request: pytest.FixtureRequest
) -> None:
    pair.source.run("create table t (a int)", "create function f() returns int return 1")
    pair.source.run("alter table t owner to corpus_owner")
    migrate(pair).expect(DONE)
    for side in (pair.source, pair.target):
        side.run(f"create role looker login password '{PASSWORD}'", "grant select on t to looker")
        request.addfinalizer(partial(side.run, "drop owned by looker", "drop role looker"))
    sides = (pair.source.url_for("looker"), pair.target.url_for("looker"))
    reader = dict(zip(("WINDLASS_SOURCE", "WINDLASS_TARGET"), sides, strict=True))
    windlass("verify", "--json", env=reader).expect(DONE)
    pair.target.run(
        "alter table t owner to corpus_writer", "alter function f owner to corpus_reader"
    )
    found = windlass("verify", "--json", env=reader).expect(DIFFERENT).result["differences"]
    assert sorted((one["object"], one["message"]) for one in found) == [
        ("function public.f()", "owner: source: postgres, target: corpus_reader"),
        ("table public.t", "owner: source: corpus_owner, target: corpus_writer"),
    ]


def quote_everything(database: Database, value: str) -> None:
    database.run(
        "do $$ begin execute format('alter role postgres in database %I set"
        f" quote_all_identifiers = {value}', current_database()); end $$"
    )


def test_names_that_one_side_quotes_are_no_difference(pair: Pair) -> None:
    pair.source.run(
        "create type e as enum ('a', 'B c')",
        "create table t (a inet, b regclass, c e, d e[], f name, unique (a))",
        "create function f(e, inet) returns inet language sql as 'select $2'",
        "create view v as select a from t where c = 'a'",
        "insert into t values ('10.0.0.1', 't', 'a', '{B c}', 'x')",
    )
    quote_everything(pair.source, "off")
    quote_everything(pair.target, "on")
    migrate(pair, "--existing", "fill", "--accept", "settings").expect(DONE)
    setting = "setting quote_all_identifiers of role postgres in the database"
    assert [name for name, _ in differing(pair)] == [setting]
    quote_everything(pair.source, "on")
    quote_everything(pair.target, "off")
    assert [name for name, _ in differing(pair)] == [setting]


def test_a_definition_that_calls_another_routine_of_that_name_is_named(pair: Pair) -> None:
    """As text the two are the same: the server chooses among the routines of one name."""
    pair.source.run(
        "create schema s",
        "create function s.f(a anyelement) returns int immutable language sql as 'select 1'",
        "create function s.f(a int, b int) returns int immutable language sql as 'select 2'",
        "create table s.t (a int default s.f(1), check (s.f(a) > 0))",
        "create view s.v as select s.f(a) as f from s.t",
        "create view s.other as select s.f(a, 2) as f from s.t",
    )
    words = ("--map-schema", "s=there")
    migrate(pair, *words).expect(DONE)
    verify(pair, *words).expect(DONE)
    pair.target.run(
        "create function there.f(a int) returns int language sql immutable as 'select a'",
        "alter table there.t alter a set default there.f(1)",
        "create or replace view there.v as select there.f(a) as f from there.t",
    )
    calls = "calls there.f(anyelement) on the source and there.f(integer) on the target"
    assert differing(pair, *words) == [
        ("default value for there.t.a", calls),
        ("view there.v", calls),
    ]


def test_rows_of_partitions_that_are_compared_as_one_are_counted_once(pair: Pair) -> None:
    on_both(
        pair,
        "create type mood as enum ('low', 'high', 'odd')",
        "create table t (m mood, n int) partition by hash (m)",
        *(f"create table t_{at} partition of t for values with (modulus 3, remainder {at})"
          for at in range(3)),
        "insert into t select m, n from unnest(enum_range(null::mood)) m, generate_series(1, 7) n",
    )  # fmt: skip
    done = verify(pair).expect(DONE).result
    assert done["rows"] == 21
    there = dict(pair.target.rows("select tableoid::regclass::text, count(*) from t group by 1"))
    assert {one["target"]: one["rows"] for one in done["relations"] if one["rows"]} == {
        f"public.{name}": count for name, count in there.items()
    }


def test_rows_that_users_keep_in_tables_of_extensions_are_named(pair: Pair) -> None:
    pair.source.run(
        "create table conf (a int)",
        "insert into conf values (1), (2), (3)",
        "alter extension plpgsql add table conf",
        "update pg_extension set extconfig = array['conf'::regclass::oid],"
        " extcondition = array['where a > 1'] where extname = 'plpgsql'",
    )
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["object"] == "extension plpgsql"
    assert "2 rows of its table public.conf are not carried over" in problem["message"]
    done = migrate(pair, "--accept", "values").expect(DONE).result
    assert [one["class"] for one in done["losses"]] == ["values"]
    notice = "rows of public.conf are not compared, as it is a table of extension plpgsql"
    assert verify(pair).expect(DONE).result["notices"] == [notice]


def test_options_of_user_mappings_that_are_hidden_are_named(
    pair: Pair, request: pytest.FixtureRequest
) -> None:
    pair.source.run(
        f"create role looker login password '{PASSWORD}'",
        "create foreign data wrapper w",
        "create server files foreign data wrapper w",
        "create user mapping for corpus_owner server files options (account 'one')",
    )
    request.addfinalizer(lambda: pair.source.run("drop role looker"))
    env = {"WINDLASS_SOURCE": pair.source.url_for("looker")}
    ran = windlass("migrate", "--json", pair=pair, env=env).expect(REFUSED).result
    (problem,) = ran["problems"]
    assert problem["object"] == "user mapping corpus_owner SERVER files"
    assert "hidden from looker" in problem["message"]
    assert "--accept secrets" in problem["hint"]
