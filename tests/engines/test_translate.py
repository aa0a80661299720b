"""A migration from another engine into PostgreSQL: what arrives, how it is proven, undone and
resumed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, STOPPED, windlass
from killing import kill
from mariadb_server import MariaServer
from servers import Database
from translating import CUSTOMERS, ITEMS, TEXTS, Move, mariadb_shop, sqlite_shop

ENGINES = ("sqlite", "mariadb")
COPIED = "select count(*) from windlass.line where step = 'copy_chunks'"


@pytest.fixture(params=ENGINES)
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, database: Callable[[int], Database]
) -> Callable[..., Move]:
    """Makes a shop in the engine, and an empty target."""

    def make(*more: str, items: int = ITEMS) -> Move:
        if request.param == "sqlite":
            source = sqlite_shop(tmp_path / "shop.db", *more, items=items)
        else:
            server: MariaServer = request.getfixturevalue("mariadb")
            name: str = request.getfixturevalue("maria_database")()
            source = mariadb_shop(server, name, *more, items=items)
        return Move(source, database(16))

    return make


def column(target: Database, query: str) -> list[Any]:
    return [value for (value,) in target.rows(query)]


def moved(move: Move, *words: str) -> dict[str, Any]:
    return move.command("migrate", *words).expect(DONE).result


def test_everything_arrives_and_is_proven(shop: Callable[..., Move]) -> None:
    move = shop()
    found = moved(move)
    assert found["verified"] == "full"
    assert found["rows"] == CUSTOMERS + ITEMS + len(TEXTS)
    items, customers = move.table("items"), move.table("customers")
    target = move.target
    assert target.value(f"select sum(qty) from {items}") == sum(
        i % 5 + 1 for i in range(1, ITEMS + 1)
    )
    assert target.value(f"select bool_and(doubled = 2 * qty and total = id * 0.125) from {items}")
    assert target.value(f"select bool_and(score = id * 0.25) from {customers}")
    odd = move.table('"odd ""name"')
    assert column(target, f'select "select" from {odd} order by "a b" nulls first') == list(TEXTS)
    # definitions work
    target.run(f"insert into {customers} (name) values ('new')")
    new = f"select id from {customers} where name = 'new'"
    assert target.value(new) == CUSTOMERS + 1
    assert target.value(f"select score from {customers} where name = 'new'") == 1.5
    with pytest.raises(psycopg.errors.CheckViolation):
        target.run(f"insert into {items} (customer, qty) values (1, 0)")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        target.run(f"insert into {items} (customer) values (99999)")
    target.run(f"delete from {customers} where id = 1")
    assert target.value(f"select count(*) from {items} where customer = 1") == 0


def test_every_planted_difference_is_found(shop: Callable[..., Move]) -> None:
    move = shop()
    moved(move)
    found = move.command("verify").expect(DONE).result
    rows = {one["target"].rpartition(".")[2]: one["rows"] for one in found["relations"]}
    assert (rows["items"], rows["customers"]) == (ITEMS, CUSTOMERS)
    items, customers = move.table("items"), move.table("customers")
    move.target.run(
        f"update {items} set note = 'Note 77' where id = 77",
        f"update {items} set total = total + 1e-12 where id = 78",
        f"update {customers} set email = '' where id = 3",
        f"delete from {items} where id = 99",
        f"insert into {customers} (id, name) values (5000, 'new')",
    )
    found = move.command("verify", "--show-values").expect(DIFFERENT).result["differences"]
    named = {(one["kind"], tuple(one["key"].values()), tuple(one["columns"])) for one in found}
    assert named - {("count", (), ())} == {
        ("changed", ("77",), ("note",)),
        ("changed", ("78",), ("total",)),
        ("changed", ("3",), ("email",)),
        ("missing", ("99",), ()),
        ("extra", ("5000",), ()),
    }
    email = next(one for one in found if one["columns"] == ["email"])
    assert (email["source"], email["target"]) == ({"email": None}, {"email": ""})
    move.target.run(f"delete from {items} where id > {ITEMS - 1_500}")
    found = move.command("verify").expect(DIFFERENT).result
    assert found["differing_rows"] == {"changed": 3, "extra": 1, "missing": 1_501}


def test_a_repair_makes_the_rows_equal_and_can_be_undone(shop: Callable[..., Move]) -> None:
    move = shop(items=500)
    moved(move)
    items, customers, odd = map(move.table, ("items", "customers", '"odd ""name"'))
    images = [f"select * from {one} order by 1, 2" for one in (items, customers, odd)]
    as_moved = [move.target.rows(one) for one in images]
    for statement in (
        f"update {items} set note = null, total = total + 1e-9 where id in (1, 499)",
        f"delete from {items} where id = 77",
        f"insert into {items} (id, customer, qty) values (901, 1, 5)",
        f"""insert into {odd} values (9, '')""",
        f"""delete from {odd} where "select" = 'NULL'""",
    ):
        move.target.run(statement)
    spoiled = [move.target.rows(one) for one in images]
    refused = move.command("verify", "--repair")
    assert refused.code == BAD_SPEC and "--yes" in refused.said
    assert [move.target.rows(one) for one in images] == spoiled
    found = move.command("verify", "--repair", "--yes").expect(DONE).result
    assert found["repaired"] and found["differences"] == []
    assert [move.target.rows(one) for one in images] == as_moved
    move.command("rollback", found["run"], "--yes").expect(DONE)
    assert [move.target.rows(one) for one in images] == spoiled
    move.command("verify", "--repair=insert", "--yes").expect(DIFFERENT)
    there = f"select count(*) from {items} where id in (77, 901)"
    assert move.target.value(there) == 2


def test_rows_without_a_key_are_compared_as_often_as_they_occur(shop: Callable[..., Move]) -> None:
    move = shop("create table bag (n int)", "insert into bag values (1), (1), (2), (null), (null)")
    moved(move)
    bag = move.table("bag")
    move.target.run(f"delete from {bag} where ctid in (select min(ctid) from {bag} where n = 1)")
    move.target.run(f"insert into {bag} values (3)")
    found = move.command("verify").expect(DIFFERENT).result["differences"]
    said = sorted((one["kind"], one["message"].partition(" without")[0]) for one in found)
    assert said == [("extra", "1 row"), ("missing", "1 row")]


def test_a_rollback_leaves_nothing_and_brings_back_what_was_there(
    shop: Callable[..., Move],
) -> None:
    move = shop(items=500)
    schema = move.source.schema
    move.target.run(f'create schema if not exists "{schema}"')
    move.target.run(f"create table {move.table('items')} (old int)")
    move.target.run(f"insert into {move.table('items')} values (7)")
    refused = move.command("migrate").expect(REFUSED)
    assert "items" in refused.said and "replace" in refused.said
    run = moved(move, "--existing", "replace")["run"]
    assert move.target.value(f"select count(*) from {move.table('items')}") == 500
    move.command("rollback", run, "--yes").expect(DONE)
    assert column(move.target, f"select old from {move.table('items')}") == [7]
    left = f"select relname from pg_class where relnamespace = '\"{schema}\"'::regnamespace"
    assert column(move.target, left) == ["items"]


def test_empty_tables_are_filled(shop: Callable[..., Move]) -> None:
    move = shop(items=500)
    moved(move, "--schema-only")
    assert move.target.value(f"select count(*) from {move.table('items')}") == 0
    found = moved(move, "--existing", "fill")
    assert found["verified"] == "full"
    assert move.target.value(f"select count(*) from {move.table('items')}") == 500


def test_tables_are_chosen_and_their_schema_gets_another_name(shop: Callable[..., Move]) -> None:
    move = shop(items=500)
    there = "main" if move.source.schema == "public" else move.source.schema
    words = ("--include", f"{there}.Cust*", "--map-schema", f"{there}=sales")
    assert moved(move, *words)["rows"] == CUSTOMERS
    assert move.target.value("select count(*) from sales.customers") == CUSTOMERS
    move.command("verify", *words).expect(DONE)
    wrong = move.command("plan", "--include", f"{there}.cutomers").expect(REFUSED)
    assert "customers" in wrong.said


def test_what_cannot_be_made_on_the_target_is_named_and_has_to_be_accepted(
    shop: Callable[..., Move],
) -> None:
    move = shop("create view coded as select Id, hex(Name) as code from Customers", items=100)
    refused = move.command("migrate").expect(REFUSED)
    assert "coded" in refused.said and "objects" in refused.said
    assert moved(move, "--accept", "objects")["losses"]


def test_a_trigger_is_named_where_only_some_tables_are_selected(shop: Callable[..., Move]) -> None:
    move = shop(
        "create trigger note_it after insert on Customers for each row begin"
        " update Customers set Score = 2 where Id = 1; end",
        items=10,
    )
    there = "main" if move.source.schema == "public" else move.source.schema
    refused = move.command("migrate", "--include", f"{there}.customers").expect(REFUSED)
    assert "note_it" in refused.said and "objects" in refused.said


def test_the_plan_promises_no_comparison_of_definitions(shop: Callable[..., Move]) -> None:
    said = windlass("plan", env=shop(items=10).env).expect(DONE).stdout
    assert "row counts and the content of every row" in said
    assert "schema, sequences" not in said and "binary" not in said


def test_the_same_command_says_that_it_is_done(shop: Callable[..., Move]) -> None:
    move = shop(items=100)
    run = moved(move)["run"]
    again = move.command("migrate").expect(DONE).result
    assert again["run"] == run and again["already"]


@pytest.mark.parametrize(
    "place",
    [
        "after create_target_tables",
        "call windlass.flows.translate.rows._copied 2",
        "before create_indexes",
        "call windlass.flows.translate.proof.find_differences",
        "before generate_migration_summary",
    ],
)
def test_killed_anywhere_the_same_command_ends_it(shop: Callable[..., Move], place: str) -> None:
    move = shop()
    words = ("migrate", "--chunk-size", "64kB")
    kill(place, words, move.env)
    # what is written after the snapshot is in the second one, and so compared with it
    found = move.command(*words).expect(DONE).result
    assert found["resumed"] and found["verified"] == "full"
    assert move.target.value(f"select count(*) from {move.table('items')}") == ITEMS
    move.command("verify").expect(DONE)


def test_a_table_of_which_a_part_was_copied_is_copied_again(shop: Callable[..., Move]) -> None:
    move = shop(items=60_000)
    words = ("migrate", "--chunk-size", "256kB", "--jobs", "1")
    kill("call windlass.flows.translate.rows._copied 5", words, move.env)
    assert move.target.value(COPIED) > 0, "some chunks have arrived"
    move.source.run("update Items set Note = 'later' where Id in (1, 60000)")
    found = move.command(*words).expect(DONE).result
    assert found["resumed"] and any("copied again" in one for one in found["notices"])
    later = f"select count(*) from {move.table('items')} where note = 'later'"
    assert move.target.value(later) == 2


def test_what_is_written_to_a_table_that_was_copied_before_a_kill_is_found(
    shop: Callable[..., Move],
) -> None:
    move = shop()
    kill("call windlass.flows.translate.proof.find_differences", ("migrate",), move.env)
    move.source.run("update Items set Note = 'later' where Id in (1, 20000)")
    found = move.command("migrate").expect(DIFFERENT).result["differences"]
    assert {(one["kind"], *one["key"].values(), *one["columns"]) for one in found} == {
        ("changed", "1", "note"),
        ("changed", "20000", "note"),
    }


def test_options_of_postgresql_alone_are_refused(shop: Callable[..., Move]) -> None:
    move = shop(items=10)
    assert "log" in move.command("migrate", "--follow").expect(BAD_SPEC).said
    assert "snapshot" in move.command("migrate", "--snapshot", "0-1").expect(BAD_SPEC).said


def test_an_answer_for_a_column_that_is_not_there_is_refused(shop: Callable[..., Move]) -> None:
    move = shop(items=10)
    said = move.command("plan", "--type", "Items.Nope=text").expect(REFUSED).said
    assert "Items.Nope" in said


def test_what_mysql_s_columns_do_by_themselves_is_done_by_the_target(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    source = mariadb_shop(
        mariadb,
        maria_database(),
        "create table acts (id int unsigned primary key, kind enum('new', 'paid') default 'new',"
        " tags set('a', 'b'), name varchar(20) collate utf8mb4_general_ci unique, twice int as"
        " (id * 2) stored, changed timestamp(6) default current_timestamp(6) on update"
        " current_timestamp(6))",
        "insert into acts (id, tags, name, changed) values (1, 'a,b', 'Ada', '2001-01-01')",
        items=10,
    )
    move = Move(source, database(16))
    moved(move)
    acts, target = move.table("acts"), move.target
    target.run(f"insert into {acts} (id, name) values (2, 'Bob')")
    assert target.rows(f"select kind::text, tags, twice from {acts} order by id") == [
        ("new", ["a", "b"], 2),
        ("new", None, 4),
    ]
    for values in ("(-1, 'x')", "(3, 'ADA')"):
        with pytest.raises(psycopg.errors.IntegrityError):
            target.run(f"insert into {acts} (id, name) values {values}")
    with pytest.raises(psycopg.errors.CheckViolation):
        target.run(f"update {acts} set tags = '{{c}}' where id = 1")
    then = f"select extract(year from changed) from {acts} where id = 1"
    target.run(f"update {acts} set name = 'Ada' where id = 1")  # changes nothing
    assert target.value(then) == 2001
    target.run(f"update {acts} set kind = 'paid' where id = 1")
    assert target.value(then) > 2001
    run = move.command("status").expect(DONE).result["runs"][0]["run"]
    move.command("rollback", run, "--yes", "--force").expect(DONE)
    assert target.value("select count(*) from pg_proc where proname = 'acts_on_update'") == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///nowhere.db", "windlass-db[sqlite]"),
        ("mysql://root@127.0.0.1:1/shop", "windlass-db[mysql]"),
        ("mongodb://127.0.0.1:1/shop", "windlass-db[mongodb]"),
        ("odbc:DSN=shop", "windlass-db[odbc]"),
        ("redis://h/shop", "source: redis:// is not supported"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "migrate", "verify"])
def test_what_is_not_installed_or_not_there_is_named(url: str, said: str, command: str) -> None:
    """In a Python without the libraries that only these engines need."""
    code = (
        "import sys; sys.modules.update(sqlglot=None, asyncmy=None, pymongo=None, pyodbc=None);"
        " from windlass.cli.main import main; main()"
    )
    words = (command, "--source", url, "--target", "postgresql://127.0.0.1:1/shop")
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode in (BAD_SPEC, REFUSED, STOPPED), done.stderr
    assert said in done.stderr and "fault in windlass" not in done.stderr
