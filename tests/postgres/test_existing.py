"""Existing objects of the target are never dropped, emptied or overwritten: refuse, fill,
replace."""

from __future__ import annotations

import pytest

from command import DONE, REFUSED, STOPPED, migrate, windlass
from corpora import corpora, corpus
from oracle import content_difference, contents, schema_difference, schema_dump
from servers import PASSWORD, Database, Pair


@pytest.fixture
def shop(pair: Pair) -> Pair:
    """The source has orders and more; the target has other relations under the same names."""
    pair.source.run(
        "create schema shop",
        "create type shop.state as enum ('new', 'paid')",
        "create table shop.orders (id int primary key, a text, state shop.state, at date)",
        "create index on shop.orders (a)",
        "insert into shop.orders select i, 'a' || i, 'paid', null from generate_series(1, 50) i",
        "create table shop.lines (id int primary key, orders int references shop.orders)",
        "insert into shop.lines select i, i from generate_series(1, 50) i",
        "create view shop.seen as select id from shop.orders",
        "create function shop.f() returns int language sql return 1",
    )
    pair.target.run(
        "create schema shop",
        "create type shop.state as enum ('old')",
        "create table shop.orders (id serial primary key, b text default 'own', state shop.state)",
        "insert into shop.orders (b, state) values ('before', 'old'), ('before too', null)",
        "create index orders_a_idx on shop.orders (b)",
        "create table shop.kept (id int references shop.orders)",
        "insert into shop.kept values (1)",
        "create view shop.seen as select b from shop.orders",
        "create view public.elsewhere as select count(*) as n from shop.orders",
        "create function shop.f() returns int language sql return 2",
        "comment on table shop.orders is 'as it was'",
        "grant select on shop.orders to corpus_reader",
    )
    return pair


def state(database: Database) -> object:
    return schema_dump(database), contents(database)


def test_refuse_is_what_happens_unasked(shop: Pair) -> None:
    before = state(shop.target)
    said = windlass("plan", "-q", pair=shop).expect(REFUSED).stdout
    assert "replaced" not in said and said.count("  exists\n") == 1
    migrate(shop).expect(REFUSED)
    migrate(shop, "--existing", "refuse").expect(REFUSED)
    assert state(shop.target) == before


def test_replace_sets_aside_and_rollback_puts_back(shop: Pair) -> None:
    before = state(shop.target)
    done = migrate(shop, "--existing", "replace").expect(DONE).result
    assert done["set_aside"] > 0
    assert shop.target.value("select count(*) from shop.orders") == 50
    assert shop.target.value("select shop.f()") == 1
    # what depended on the old relation depends on the new one
    assert shop.target.value("select n from public.elsewhere") == 50
    keys = (
        "select confrelid::regclass::text from pg_constraint where conrelid = 'shop.kept'::regclass"
    )
    assert shop.target.value(f"{keys} and contype = 'f'") == "shop.orders"
    windlass("rollback", done["run"], "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == before


def test_a_rolled_back_run_is_listed_as_such_and_cannot_be_rolled_back_again(shop: Pair) -> None:
    run = migrate(shop, "--existing", "replace").expect(DONE).result["run"]
    windlass("rollback", run, "--yes", pair=shop).expect(DONE)
    (listed,) = windlass("status", "--json", pair=shop).expect(DONE).result["runs"]
    assert listed["state"] == "rolled back"
    before = state(shop.target)
    windlass("rollback", run, "--yes", pair=shop)
    assert state(shop.target) == before


def test_replace_twice_keeps_both_ways_back(shop: Pair) -> None:
    before = state(shop.target)
    first = migrate(shop, "--existing", "replace").expect(DONE).result["run"]
    after_first = state(shop.target)
    shop.source.run("update shop.orders set a = 'newer'")
    second = migrate(shop, "--existing", "replace").expect(DONE).result["run"]
    assert shop.target.value("select count(*) from shop.orders where a = 'newer'") == 50
    windlass("rollback", second, "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == after_first
    windlass("rollback", first, "--yes", pair=shop).expect(DONE)
    assert state(shop.target) == before


def test_rollback_refuses_while_something_new_leans_on_what_it_would_drop(shop: Pair) -> None:
    run = migrate(shop, "--existing", "replace").expect(DONE).result["run"]
    shop.target.run("create view public.made_since as select a from shop.orders")
    before = state(shop.target)
    ran = windlass("rollback", run, "--yes", "--json", pair=shop).expect(REFUSED)
    assert "made_since" in ran.said
    assert state(shop.target) == before
    shop.target.run("drop view public.made_since")
    windlass("rollback", run, "--yes", pair=shop).expect(DONE)


def test_rollback_asks_before_it_undoes(shop: Pair) -> None:
    run = migrate(shop, "--existing", "replace").expect(DONE).result["run"]
    before = state(shop.target)
    assert windlass("rollback", run, pair=shop).code not in (DONE, STOPPED)
    assert state(shop.target) == before


def test_replace_of_a_whole_database_by_itself_and_back(pair: Pair) -> None:
    """Every family is set aside and put back as it was; what lives in no schema stays."""
    families = ("tables", "partitions", "constraints", "views", "functions", "triggers", "types")
    pair.source.load(*[corpus(name) for name in families])
    migrate(pair).expect(DONE)
    before = state(pair.target)
    done = migrate(pair, "--existing", "replace", "--accept", "objects").expect(DONE).result
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []
    windlass("rollback", done["run"], "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


def test_rollback_of_a_plain_move_is_refused_or_takes_only_what_the_move_made(pair: Pair) -> None:
    pair.source.load(corpus("foreign_keys"))
    pair.target.run("create table kept (a int)", "insert into kept values (1)")
    before = state(pair.target)
    run = migrate(pair).expect(DONE).result["run"]
    after = state(pair.target)
    ran = windlass("rollback", run, "--yes", pair=pair)
    assert state(pair.target) == (before if ran.code == DONE else after)


def test_fill_matches_columns_by_name_and_makes_what_is_missing(pair: Pair) -> None:
    pair.source.run(
        "create schema shop",
        "create table shop.orders (id int primary key, a text, b numeric(10,2), c int[])",
        "insert into shop.orders select i, 'a' || i, i / 7.0, '{1}' from generate_series(1, 99) i",
        "create table shop.lines (id int primary key, orders int references shop.orders)",
        "insert into shop.lines select i, i from generate_series(1, 50) i",
    )
    pair.target.run(
        "create schema shop",
        "create table shop.orders"
        " (own text default 'own', c int[], b numeric, id int primary key, a text)",
        "alter table shop.orders add unique (id)",
    )
    migrate(pair, "--existing", "fill").expect(DONE)
    same = "select id, a, b::text, c from shop.orders order by id"
    assert pair.target.rows(same) == pair.source.rows(same)
    assert pair.target.value("select count(*) from shop.orders where own = 'own'") == 99
    assert pair.target.value("select count(*) from shop.lines") == 50
    keys = "select count(*) from pg_constraint where conrelid = 'shop.lines'::regclass"
    assert pair.target.value(f"{keys} and contype = 'f'") == 1


def test_fill_names_a_foreign_key_that_what_is_there_cannot_bear(pair: Pair) -> None:
    pair.source.run(
        "create table orders (id int primary key)",
        "create table lines (id int primary key, orders int references orders)",
    )
    pair.target.run("create table orders (id int)")
    done = migrate(pair, "--existing", "fill", "--accept", "constraints").expect(DONE).result
    assert "lines_orders_fkey" in str(done["losses"])
    keys = "select count(*) from pg_constraint where conrelid = 'public.lines'::regclass"
    assert pair.target.value(f"{keys} and contype = 'f'") == 0


def test_fill_into_a_relation_with_rows_is_refused(shop: Pair) -> None:
    before = state(shop.target)
    ran = migrate(shop, "--existing", "fill", "--include", "shop.orders").expect(REFUSED)
    assert "shop.orders" in str(ran.result["problems"])
    assert "rows" in str(ran.result["problems"])
    assert state(shop.target) == before


def test_fill_without_a_place_for_a_column_is_refused(pair: Pair) -> None:
    pair.source.run("create table t (id int, a text, b text)", "insert into t values (1, 'a', 'b')")
    pair.target.run("create table t (id int, a text, must int not null)")
    ran = migrate(pair, "--existing", "fill").expect(REFUSED)
    assert "column b" in str(ran.result["problems"])
    assert "must" in str(ran.result["problems"])


def test_fill_fires_no_trigger_and_no_rule_and_writes_identity_as_it_was(pair: Pair) -> None:
    pair.source.run(
        "create table t (id int generated always as identity, a text)",
        "insert into t (a) values ('x'), ('y')",
        "delete from t where a = 'x'",
    )
    pair.target.run(
        "create table t (id int generated always as identity, a text)",
        "create function f() returns trigger language plpgsql as 'begin return null; end'",
        "create trigger none before insert on t for each row execute function f()",
    )
    migrate(pair, "--existing", "fill").expect(DONE)
    assert pair.target.rows("select id, a from t") == [(2, "y")]
    assert pair.target.value("select nextval('t_id_seq')") == 3


@pytest.mark.parametrize("words", [("--existing", "fill"), ("--data-only",)])
def test_rows_go_into_a_schema_that_was_made_before(pair: Pair, words: tuple[str, ...]) -> None:
    """Keys, cycles, partitions, generated columns and triggers are all there already."""
    families = ("tables", "constraints", "foreign_keys", "partitions", "inheritance")
    pair.source.load(*[corpus(name) for name in families])
    migrate(pair, "--schema-only", "--accept", "behaviour").expect(DONE)
    assert schema_difference(pair.source, pair.target) == []
    migrate(pair, *words, "--accept", "behaviour").expect(DONE)
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def test_schema_only_moves_every_definition_and_no_row(pair: Pair) -> None:
    losing = {"inheritance_order", "subscriptions", "indexes_invalid", "foreign_data"}
    pair.source.load(*[p for p in corpora("objects", 16, 18) if p.stem not in losing])
    migrate(pair, "--schema-only", "--accept", "behaviour").expect(DONE)
    assert schema_difference(pair.source, pair.target) == []
    tables = {k: v for k, v in contents(pair.target).items() if k.startswith("table")}
    assert {content.rows for content in tables.values()} == {0}


def test_data_only_without_a_place_for_the_rows_is_refused(pair: Pair) -> None:
    pair.source.run("create table t (a int)", "insert into t values (1)")
    ran = migrate(pair, "--data-only").expect(REFUSED)
    assert "public.t" in str(ran.result["problems"])


def test_fill_of_a_table_whose_row_security_refuses_copy_is_a_problem(pair: Pair) -> None:
    reader = "corpus_reader"
    for database in (pair.source, pair.target):
        database.run("create table t (id int primary key)", f"grant all on t to {reader}")
    pair.source.run("insert into t values (1)")
    name = pair.target.name
    pair.target.run(
        f"alter role {reader} login password '{PASSWORD}'",
        f"grant create on database {name} to {reader}",
        f"grant create on schema public to {reader}",
        "alter table t enable row level security",
        "create policy everything on t using (true)",
    )
    words = ("--target", pair.target.url_for(reader), "--data-only")
    ran = windlass("migrate", "--json", *words, "--source", pair.source.url).expect(REFUSED)
    (problem,) = ran.result["problems"]
    assert problem["object"] == "public.t" and "row security" in problem["message"]
    pair.target.run("alter table t disable row level security")
    windlass("migrate", "--json", *words, "--source", pair.source.url).expect(DONE)


@pytest.mark.parametrize("kind", [" partition by list (a)", ""])
def test_a_partition_that_a_filled_table_lacks_is_refused(pair: Pair, kind: str) -> None:
    pair.source.run(
        "create table t (a int primary key) partition by list (a)",
        "create table t_1 partition of t for values in (1)",
        "create table t_2 partition of t for values in (2)",
        "insert into t values (1), (2)",
        "create table parent (a int)",
        "create table child () inherits (parent)",
    )
    pair.target.run(f"create table t (a int primary key){kind}", "create table parent (a int)")
    if kind:
        pair.target.run("create table t_1 partition of t for values in (1)")
    problems = migrate(pair, "--existing", "fill").expect(REFUSED).result["problems"]
    lacking = {"public.t_2"} if kind else {"public.t_1", "public.t_2"}
    assert {one["object"] for one in problems} == lacking
    if kind:
        pair.target.run("create table t_2 partition of t for values in (2)")
        migrate(pair, "--existing", "fill").expect(DONE)
