"""`clean` removes what ended runs have left, after a question, and nothing that is needed."""

from __future__ import annotations

import pytest

from command import BAD_SPEC, DONE, REFUSED, STOPPED, migrate, verify, windlass
from servers import PASSWORD, Pair

LEFT = "select count(*) from pg_namespace where nspname like 'windlass\\_%%'"


@pytest.fixture
def replaced(pair: Pair) -> tuple[Pair, str]:
    """A target of which a run has set something aside."""
    pair.source.run("create table t (id serial primary key)", "insert into t values (1)")
    pair.target.run(
        "create table t (id serial primary key)",
        "insert into t select generate_series(1, 1000)",
        "create view seen as select 1 as one",
    )
    return pair, migrate(pair, "--existing", "replace").expect(DONE).result["run"]


def test_it_lists_sizes_asks_and_removes(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    assert f"windlass_{run}_public" in windlass("clean", pair=pair).expect(BAD_SPEC).stderr
    assert pair.target.value(LEFT) == 1
    status = windlass("status", "--json", pair=pair).expect(DONE).result["runs"][0]
    ran = windlass("clean", "--yes", "--json", pair=pair).expect(DONE)
    (left,) = ran.result["runs"]
    assert left["run"] == run and left["size_bytes"] == status["set_aside_bytes"] > 8192
    assert pair.target.value(LEFT) == 0
    assert windlass("status", "--json", pair=pair).expect(DONE).result["runs"] == []
    assert pair.target.value("select count(*) from t") == 1
    assert windlass("clean", "--yes", pair=pair).expect(DONE).stdout.startswith("Nothing")


def test_what_others_use_stays_and_is_named(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    schema = pair.target.value(
        "select nspname from pg_namespace where nspname like 'windlass\\_%%'"
    )
    pair.target.run(f'create view mine as select * from "{schema}".t')
    ran = windlass("clean", run, "--yes", "--json", pair=pair).expect(REFUSED)
    assert "view public.mine" in ran.said
    assert pair.target.value(LEFT) == 1 and pair.target.value("select count(*) from mine") == 1000


def test_an_unfinished_run_keeps_what_it_needs(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    pair.target.run("update windlass.run set state = 'running', finished_at = null")
    assert windlass("clean", "--yes", "--json", pair=pair).expect(DONE).result["runs"] == []
    ran = windlass("clean", run, "--yes", "--json", pair=pair).expect(REFUSED)
    assert "windlass rollback" in ran.said and pair.target.value(LEFT) == 1


MANY = (
    "create table t (id int primary key)",
    "create type mood as enum ('a', 'b')",
    "create domain small as int check (value < 10)",
    "create type span as range (subtype = float8)",
    'create collation own from "C"',
    "create text search dictionary plain (template = simple)",
    "create text search configuration words (copy = simple)",
    "create operator === (leftarg = text, rightarg = text, function = texteq)",
    "create aggregate total(*) (stype = int8, sfunc = int8inc, initcond = '0')",
    "create function f(t) returns bool language plpgsql as 'begin return $1.id > 0; end'",
    "alter table t add check (f(t.*))",
    "create materialized view m as select id from t",
    "create view v as select id from m",
    "create procedure p(inout a text) language sql as 'select a'",
    "create publication pub for table t",
    "create foreign data wrapper w",
    "create server srv foreign data wrapper w options (host '{host}')",
    "create user mapping for public server srv options (user 'u')",
    "create foreign table far (a int) server srv",
    "create function e() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger trig on ddl_command_end execute function e()",
    "select lo_from_bytea(4711, '{host}')",
)
REST = (
    "select n.nspname || '.' || coalesce(i.name, '') from pg_namespace n cross join lateral (values"
    " ('')) i (name) where nspname like 'windlass\\_%'"
    " union all select pubname from pg_publication where pubname like 'windlass%'"
    " union all select srvname from pg_foreign_server where srvname like 'windlass%'"
    " union all select evtname from pg_event_trigger where evtname like 'windlass%'"
    " union all select fdwname from pg_foreign_data_wrapper where fdwname like 'windlass%'"
    " union all select oid::text from pg_largeobject_metadata where oid <> 4711"
)


@pytest.fixture
def of_every_kind(pair: Pair) -> tuple[Pair, str]:
    """A target of which a run has set aside whatever there is."""
    for database, host in ((pair.source, "new"), (pair.target, "old")):
        database.run(*(one.replace("{host}", host) for one in MANY))
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    assert len(pair.target.rows(REST)) == 4
    return pair, run


@pytest.mark.parametrize("pair", [(15, 15), (15, 18)], indirect=True)
def test_whatever_was_set_aside_is_listed_and_removed(of_every_kind: tuple[Pair, str]) -> None:
    pair, run = of_every_kind
    (left,) = windlass("clean", "--yes", "--json", pair=pair).expect(DONE).result["runs"]
    assert left["run"] == run and len(left["large_objects"]) == 1
    kinds = {kind for kind, _ in left["renamed"]}
    assert kinds == {"SERVER", "EVENT TRIGGER"}
    assert pair.target.rows(REST) == []
    assert pair.target.value("select lo_get(4711)") == b"new"
    verify(pair).expect(DONE)


def test_a_renamed_server_that_others_use_stays_and_is_named(
    of_every_kind: tuple[Pair, str],
) -> None:
    pair, run = of_every_kind
    server = pair.target.value("select srvname from pg_foreign_server where srvname ~ '^windlass'")
    pair.target.run(f'create foreign table mine (a int) server "{server}"')
    before = pair.target.rows(REST)
    ran = windlass("clean", run, "--yes", "--json", pair=pair).expect(REFUSED)
    assert "foreign table public.mine" in ran.said
    assert pair.target.rows(REST) == before


def test_copies_of_large_objects_are_all_that_a_rolled_back_run_has_not(
    of_every_kind: tuple[Pair, str],
) -> None:
    pair, run = of_every_kind
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    (left,) = windlass("clean", "--yes", "--json", pair=pair).expect(DONE).result["runs"]
    assert (left["schemas"], left["renamed"], left["large_objects"]) == ([], [], [])
    assert pair.target.value("select lo_get(4711)") == b"old"


def test_what_a_journal_that_is_gone_no_longer_names_is_removed(
    replaced: tuple[Pair, str],
) -> None:
    pair, run = replaced
    pair.target.run("drop schema windlass cascade", "create schema windlass_20260101_0101_abcd_own")
    (left,) = windlass("clean", "--yes", "--json", pair=pair).expect(DONE).result["runs"]
    assert left["run"] == run and left["state"] == ""
    assert pair.target.rows("select nspname from pg_namespace where nspname like 'windlass%'") == [
        ("windlass_20260101_0101_abcd_own",)
    ]


def test_what_others_have_put_beside_it_is_named_and_stays(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    pair.target.run(f'create table "windlass_{run}_public".mine (id int)')
    ran = windlass("clean", run, "--yes", "--json", pair=pair).expect(REFUSED)
    assert f"windlass_{run}_public.mine" in ran.said and pair.target.value(LEFT) == 1


def test_a_run_is_not_forgotten_while_an_earlier_one_could_drop_what_it_made(
    replaced: tuple[Pair, str],
) -> None:
    pair, first = replaced
    second = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    ran = windlass("clean", second, "--yes", "--json", pair=pair).expect(REFUSED)
    assert f"windlass clean {first}" in ran.said
    windlass("clean", first, "--yes", pair=pair).expect(DONE)
    windlass("clean", second, "--yes", pair=pair).expect(DONE)
    assert pair.target.value(LEFT) == 0 and pair.target.value("select count(*) from t") == 1


def test_nothing_is_removed_where_something_of_it_is_in_use(replaced: tuple[Pair, str]) -> None:
    pair, first = replaced
    for database in (pair.source, pair.target):
        database.run("create table other (id int)")
    words = ("--include", "public.other", "--existing", "replace")
    migrate(pair, *words).expect(DONE)
    pair.target.run(f'create view mine as select * from "windlass_{first}_public".t')
    ran = windlass("clean", "--yes", "--json", pair=pair).expect(REFUSED)
    assert "view public.mine" in ran.said
    assert pair.target.value(LEFT) == 2
    assert pair.target.value("select count(*) from windlass.run") == 2


def test_who_may_not_read_the_journal_learns_that(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    admin = pair.target.server.admin
    admin.run(f"create role journal_stranger login password '{PASSWORD}'")
    try:
        env = {"WINDLASS_TARGET": pair.target.url_for("journal_stranger")}
        for words in (("status",), ("rollback", run, "--yes"), ("clean", "--yes")):
            ran = windlass(*words, pair=pair, env=env)
            assert ran.code in (REFUSED, STOPPED) and "fault in windlass" not in ran.said, ran.why
    finally:
        admin.run("drop role journal_stranger")
