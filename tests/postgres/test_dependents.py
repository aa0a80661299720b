"""Objects that refer to a replaced relation refer to the new one afterwards, or the run is
refused."""

from __future__ import annotations

import pytest

from command import DIFFERENT, DONE, REFUSED, environment, migrate, verify, windlass
from corpora import corpus
from killing import kill
from oracle import contents, schema_dump
from servers import Database, Pair

BACKUP = "select count(*) from pg_namespace where nspname ~ '^windlass_2'"


def state(database: Database) -> tuple[object, object]:
    return schema_dump(database), contents(database)


@pytest.fixture
def shop(pair: Pair) -> Pair:
    """Orders on both sides, with other rows; on the target more that refers to them."""
    for database in (pair.source, pair.target):
        database.run(
            "create schema s",
            "create table s.a (id int primary key, v text)",
            "create table s.b (id int primary key, a_id int references s.a)",
            "grant usage on schema s to corpus_owner",
            "grant select on s.a to corpus_owner",
        )
    pair.source.run(
        "insert into s.a select i, 'new' from generate_series(1, 100) i",
        "insert into s.b select i, i from generate_series(1, 100) i",
    )
    pair.target.run(
        "insert into s.a select i, 'old' from generate_series(1, 10) i",
        "insert into s.b values (1, 1), (2, 10)",
    )
    return pair


def replace(pair: Pair, *words: str) -> str:
    run = migrate(pair, "--include", "s.a", "--existing", "replace", *words).expect(DONE)
    return str(run.result["run"])


def refers(pair: Pair, what: str) -> str:
    """What a foreign key of the target refers to."""
    query = "select confrelid::regclass::text from pg_constraint where conname = %s"
    return str(pair.target.rows(query, (what,))[0][0])


@pytest.mark.parametrize("pair", [(15, 15), (18, 18)], indirect=True)
def test_a_foreign_key_of_another_table_refers_to_the_new_one_and_is_validated(shop: Pair) -> None:
    before = state(shop.target)
    run = replace(shop)
    assert refers(shop, "b_a_id_fkey") == "s.a"
    assert shop.target.value("select convalidated from pg_constraint where conname = 'b_a_id_fkey'")
    shop.target.run("insert into s.b values (3, 100)", "delete from s.b where id = 3")
    windlass("rollback", run, "--yes", pair=shop).expect(DONE)
    assert refers(shop, "b_a_id_fkey") == "s.a"
    assert state(shop.target) == before


def test_rows_that_the_new_table_lacks_leave_the_foreign_key_not_valid_and_named(
    shop: Pair,
) -> None:
    shop.target.run("insert into s.a values (999)", "insert into s.b values (999, 999)")
    before = state(shop.target)
    ran = migrate(shop, "--include", "s.a", "--existing", "replace")
    assert "b_a_id_fkey" in str(ran.result["losses"])
    assert refers(shop, "b_a_id_fkey") == "s.a"
    windlass("rollback", ran.result["run"], "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == before


@pytest.mark.parametrize("pair", [(15, 15), (18, 18)], indirect=True)
def test_views_read_the_new_table_with_all_that_belongs_to_them(shop: Pair) -> None:
    shop.target.run(
        "create view s.v with (security_barrier) as select id, v from s.a",
        "comment on view s.v is 'seen'",
        "comment on column s.v.v is 'a column'",
        "alter view s.v alter column v set default 'x'",
        "alter view s.v owner to corpus_owner",
        "grant select (id) on s.v to corpus_reader",
        "create rule ins as on insert to s.v do instead insert into s.b values (new.id, new.id)",
        "create view public.over as select count(*) as n from s.v",
        "create materialized view public.kept as select max(v) as v from s.v",
        "create unique index kept_v on public.kept (v)",
        "create materialized view public.unfilled as select * from s.v with no data",
        'create view public."Odd ""v"" %s" as select * from public.over',
    )
    before = state(shop.target)
    run = replace(shop, "--verify", "full")
    assert shop.target.rows("select n from public.over") == [(100,)]
    assert shop.target.rows('select n from public."Odd ""v"" %s"') == [(100,)]
    assert shop.target.rows("select v from public.kept") == [("new",)]
    assert not shop.target.value("select relispopulated from pg_class where relname = 'unfilled'")
    assert schema_dump(shop.target) == before[0]
    windlass("rollback", run, "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == before
    assert shop.target.value(BACKUP) == 0


@pytest.mark.parametrize("pair", [(15, 15), (18, 18)], indirect=True)
def test_all_else_that_can_be_made_again_refers_to_the_new_table(shop: Pair) -> None:
    shop.target.run(
        "create function s.of_row(s.a) returns text language sql return ($1).v",
        "create function s.rows() returns setof s.a language sql"
        " begin atomic select * from s.a; end",
        "create procedure s.p(out n bigint) language sql"
        " begin atomic select count(*) from s.a; end",
        "create function s.through() returns bigint language sql"
        " return (select count(*) from s.rows())",
        "create function s.step(text, s.a) returns text language sql immutable return ($2).v",
        "create aggregate s.last(s.a) (stype = text, sfunc = s.step)",
        "create operator s.## (rightarg = s.a, function = s.of_row)",
        "create policy p on s.b using (exists (select from s.a where a.id = b.a_id))",
        "create rule r as on delete to s.b do also delete from s.a where a.id = old.id and false",
        "create publication corpus_p for table s.a, s.b",
        "create cast (s.a as text) with function s.of_row(s.a)",
    )
    before = state(shop.target)
    run = replace(shop)
    assert shop.target.value("select count(*) from s.rows()") == 100
    assert shop.target.value("select s.through()") == 100
    assert shop.target.rows("call s.p(null)") == [(100,)]
    assert shop.target.value("select s.last(a) from s.a") == "new"
    assert shop.target.value("select operator(s.##) a from s.a limit 1") == "new"
    assert shop.target.value("select a::text from s.a limit 1") == "new"
    # the old cast stays with the old type
    assert [one for one in schema_dump(shop.target) if "windlass_2" not in one.header] == before[0]
    published = "select schemaname from pg_publication_tables where tablename = 'a'"
    assert shop.target.rows(published) == [("s",)]
    windlass("rollback", run, "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == before


def test_a_default_draws_from_the_new_sequence(pair: Pair) -> None:
    pair.source.run("create schema s", "create sequence s.q start 500", "create table s.a (id int)")
    pair.target.run(
        "create schema s",
        "create sequence s.q",
        "create table s.kept (id int default nextval('s.q'))",
    )
    before = state(pair.target)
    ran = migrate(pair, "--schema", "s", "--existing", "replace").expect(DONE)
    assert "default s.kept id draws from a sequence" in " ".join(ran.result["notices"])
    pair.target.run("insert into s.kept default values")
    assert pair.target.value("select id from s.kept") == 500
    pair.target.run("delete from s.kept")
    windlass("rollback", ran.result["run"], "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("create table s.child () inherits (s.a)", "s.child"),
        ("create table s.typed (x s.a)", "s.typed.x"),
        ("create view s.lacking as select gone from s.a", "s.lacking"),
        ("create table s.other (v text references s.a (v))", "other_v_fkey"),
        ("create function s.f(s.a) returns bool language sql immutable return true;"
         "create table s.c (x int check (s.f(null)))", "c_check"),
        ("create function s.f(s.a) returns int language sql immutable return 1;"
         "create table s.i (x int); create index i_f on s.i ((x + s.f(null)))", "i_f"),
    ],
)  # fmt: skip
def test_what_cannot_be_pointed_at_the_new_table_is_refused_by_name(
    shop: Pair, statement: str, named: str
) -> None:
    shop.target.run("update s.a set v = id", "alter table s.a add gone int, add unique (v)")
    shop.target.run(statement)
    before = state(shop.target)
    ran = migrate(shop, "--include", "s.a", "--existing", "replace").expect(REFUSED)
    assert named in str(ran.result["problems"])
    assert all(problem["hint"] for problem in ran.result["problems"])
    assert state(shop.target) == before


def test_the_plan_shows_what_happens_to_each_dependent(shop: Pair) -> None:
    shop.target.run("create view s.v as select * from s.a")
    said = (
        windlass("plan", "--include", "s.a", "--existing", "replace", pair=shop).expect(DONE).stdout
    )
    assert "view s.v" in said
    assert "b_a_id_fkey" in said


def test_replacing_again_points_the_dependents_at_the_newest(shop: Pair) -> None:
    shop.target.run("create view s.v as select * from s.a")
    first = replace(shop)
    middle = state(shop.target)
    shop.source.run("update s.a set v = 'newer'")
    second = replace(shop)
    assert shop.target.rows("select distinct v from s.v") == [("newer",)]
    windlass("rollback", second, "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == middle
    windlass("rollback", first, "--yes", pair=shop).expect(DONE)


def test_a_tutorial_table_keeps_what_refers_to_it(pair: Pair) -> None:
    """All of a family, then one of its relations."""
    pair.source.load(corpus("foreign_keys"))
    migrate(pair).expect(DONE)
    before = state(pair.target)
    ran = migrate(pair, "--include", "refs.products", "--existing", "replace").expect(DONE)
    verify(pair).expect(DONE)
    windlass("rollback", ran.result["run"], "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


def test_a_foreign_key_to_a_table_that_the_target_has_is_made_and_validated(shop: Pair) -> None:
    before = state(shop.target)
    shop.target.run("insert into s.a select i from generate_series(11, 100) i")
    ran = migrate(shop, "--include", "s.b", "--existing", "replace").expect(DONE)
    assert ran.result["losses"] == []
    assert shop.target.rows(
        "select conrelid::regclass::text, confrelid::regclass::text, convalidated"
        " from pg_constraint where contype = 'f' and conrelid = 's.b'::regclass"
    ) == [("s.b", "s.a", True)]
    windlass("rollback", ran.result["run"], "--yes", pair=shop).expect(DONE)
    shop.target.run("delete from s.a where id > 10")
    assert state(shop.target) == before


def test_a_foreign_key_whose_rows_the_target_lacks_is_not_valid_and_named(shop: Pair) -> None:
    ran = migrate(shop, "--include", "s.b", "--existing", "replace")
    assert ran.code == DIFFERENT
    assert "b_a_id_fkey" in str(ran.result["losses"])
    assert refers(shop, "b_a_id_fkey") == "s.a"


def test_what_a_selected_table_needs_is_used_as_the_target_has_it(pair: Pair) -> None:
    for database in (pair.source, pair.target):
        database.run(
            "create schema s",
            "create type s.mood as enum ('sad', 'glad')",
            "comment on type s.mood is 'of a day'",
            "create domain s.day as date check (value > '1900-01-01')",
            "create function s.f() returns int language sql return 1",
            "create table s.kept (m s.mood, d s.day)",
        )
    pair.source.run(
        "create table s.new (m s.mood, d s.day, n int default s.f())",
        "insert into s.new values ('glad', '2020-01-01')",
    )
    before = state(pair.target)
    for words in ((), ("--existing", "replace")):
        ran = migrate(pair, "--include", "s.new", *words).expect(DONE)
        assert ran.result["losses"] == []
        assert pair.target.rows("select m::text, n from s.new") == [("glad", 1)]
        windlass("rollback", ran.result["run"], "--yes", pair=pair).expect(DONE)
        assert state(pair.target) == before


ALTERED = {
    "view s.owned": "alter view s.owned owner to corpus_owner",
    "view s.granted": "grant select (v) on s.granted to corpus_reader",
    "view s.over": "create or replace view s.over as select n + 1 as n from s.counted",
    "materialized view s.kept": "comment on materialized view s.kept is 'altered'",
    "materialized view s.indexed": "create index on s.indexed (v)",
    "policy s.b p": "alter policy p on s.b to corpus_reader",
    "function s.of_a()": "alter function s.of_a() volatile",
}
ALREADY = "create or replace view s.v as select id, upper(v) as v from s.a"  # the new one


def test_what_is_altered_while_the_run_is_at_work_is_left_as_it_is_and_named(shop: Pair) -> None:
    shop.target.run(
        "create view s.v as select id, v from s.a",
        "create view s.owned as select id, v from s.a",
        "create view s.granted as select id, v from s.a",
        "create view s.counted as select count(*) as n from s.a",
        "create view s.over as select n from s.counted",
        "create materialized view s.kept as select id, v from s.a",
        "create materialized view s.indexed as select id, v from s.a",
        "create policy p on s.b using (exists (select from s.a))",
        "create function s.of_a() returns int stable language sql begin atomic"
        " select count(*)::int from s.a; end",
    )
    words = ["migrate", "--include", "s.a", "--existing", "replace"]
    kill("call windlass.flows.migrate.dependents._repoint", words, environment(shop))
    shop.target.run(ALREADY, *ALTERED.values(), "refresh materialized view s.kept", "analyze")
    ran = windlass(*words, "--json", pair=shop)
    lost = {loss["object"]: loss["message"] for loss in ran.result["losses"]}
    assert lost.keys() == ALTERED.keys()
    assert all("altered after the plan was made" in message for message in lost.values())
    assert ran.code == DIFFERENT
    assert refers(shop, "b_a_id_fkey") == "s.a"
    assert shop.target.value("select v from s.v limit 1") == "NEW"
    assert shop.target.value("select n from s.counted") == 100
    assert shop.target.value("select provolatile from pg_proc where proname = 'of_a'") == "v"
    assert shop.target.value("select v from s.kept limit 1") == "old"
    shop.target.run("drop view s.v")  # which uses the new table
    windlass("rollback", ran.result["run"], "--yes", pair=shop).expect(DONE)
    assert shop.target.value("select n from s.counted") == 10
    assert shop.target.value("select n from s.over") == 11


def test_what_is_made_again_while_the_run_is_at_work_is_not_made_as_it_was(shop: Pair) -> None:
    shop.target.run("create policy p on s.b using (exists (select from s.a))")
    words = ["migrate", "--include", "s.a", "--existing", "replace"]
    kill("call windlass.flows.migrate.dependents._repoint", words, environment(shop))
    shop.target.run(
        "alter table s.b drop constraint b_a_id_fkey",
        "alter table s.b add constraint b_a_id_fkey foreign key (a_id) references s.a"
        " on delete cascade",
        "drop policy p on s.b",
        "create policy p on s.b using (a_id in (select id from s.a))",
    )
    found = windlass(*words, "--json", pair=shop).expect(DIFFERENT).result["differences"]
    assert [one["object"] for one in found] == ["fk constraint s.b b_a_id_fkey", "policy s.b p"]
    assert refers(shop, "b_a_id_fkey") == "s.a"
    query = "select confdeltype::text from pg_constraint where conname = 'b_a_id_fkey'"
    assert shop.target.value(query) == "c"
    assert "a_id" in shop.target.value("select pg_get_expr(polqual, polrelid) from pg_policy")
