"""A migration from PostgreSQL into a target of another engine that has such tables already: they
are set aside, and a rollback puts them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mysql_moves
from command import DONE, REFUSED
from file_moves import ROWS, SHOP, IntoDuckDb, IntoSqlite, Move
from killing import is_killed, kill
from mariadb_server import MariaServer
from servers import Database

REPLACE = ("--existing", "replace")
CONVERTING = "windlass.engines.embedded.converting.file"
DUCKDB = "windlass.engines.duckdb.destination.file"
MYSQL = "windlass.engines.mysql.destination"
OLD = "select id, name from customers order by id"


@pytest.fixture
def source(database: Callable[[int], Database]) -> Database:
    found = database(16)
    found.run(*SHOP)
    return found


@pytest.fixture(params=(IntoSqlite, IntoDuckDb), ids=lambda one: one.engine)
def move(request: pytest.FixtureRequest, source: Database, tmp_path: Path) -> Move:
    made: Move = request.param(source, tmp_path / "shop.db")
    return made


def earlier(one: Any) -> None:
    """Tables of the names that the run needs, with other columns and rows."""
    one.run(
        "create table customers (id integer primary key, name varchar(40) unique)",
        "create table items (id integer primary key, c integer references customers (id))",
        "create index items_qty on items (c)",
        "create view busy as select name from customers",
        "insert into customers values (1, 'old'), (2, 'older')",
        "insert into items values (7, 1)",
    )


def found_earlier(one: Any) -> bool:
    is_there = [tuple(map(str, row)) for row in one.rows(OLD)] == [("1", "old"), ("2", "older")]
    names = [row[0] for row in one.rows("select name from busy order by name")]
    return is_there and names == ["old", "older"]


def test_tables_that_exist_are_set_aside_and_put_back(move: Move) -> None:
    earlier(move)
    said = move.command("plan", *move.losses).expect(REFUSED).said
    assert "exists in" in said and "replace" in said
    planned = move.command("plan", *move.losses, *REPLACE).expect(DONE).result["sets_aside"]
    assert planned and all(it["name"] for it in planned)
    assert found_earlier(move), "a plan writes nothing"
    first = move.shop(*REPLACE)
    assert (first["state"], first["verified"], first["rows"]) == ("done", "full", ROWS)
    assert move.rows("select count(*) from customers") == [(300,)]
    second = move.shop(*REPLACE)  # the same command replaces again
    assert second["run"] != first["run"] and second["rows"] == ROWS
    move.command("rollback", second["run"], "--yes").expect(DONE)
    assert move.command("verify").expect(DONE).result["verified"] == "full"
    move.command("rollback", first["run"], "--yes").expect(DONE)
    assert found_earlier(move)
    assert move.beside() == ["shop.db"]
    move.run("insert into items values (8, 2)")
    with pytest.raises(Exception, match=r"(?i)constraint|foreign key"):
        move.run("insert into items values (9, 99)")


FILES = (
    f"call {CONVERTING}.TargetFile.begin 1",
    "call windlass.flows.convert.steps._copied 1",
    "insert 3",
    "call windlass.flows.convert.proof.validate_content 2",
)
PLACES = (
    "_keep 1", "flush 1",  # complete
    "flush 2",  # the earlier file has two names
    "flush 3",  # it is replaced
)  # fmt: skip


@pytest.mark.parametrize("place", FILES)
def test_killed_anywhere_nothing_of_the_earlier_tables_is_lost(move: Move, place: str) -> None:
    earlier(move)
    kill(place.replace("insert", f"call {move.inserts}"), words(move), move.env)
    assert move.engine == "SQLite" or found_earlier(move), "the new file is not complete"
    ends_and_goes_back(move)


@pytest.mark.parametrize("place", PLACES)
def test_a_file_is_replaced_in_one_step(source: Database, tmp_path: Path, place: str) -> None:
    one = IntoDuckDb(source, tmp_path / "shop.db")
    earlier(one)
    name = f"{DUCKDB}.DuckDbFile.{place}" if place.startswith("_") else f"{DUCKDB}.{place}"
    kill(f"call {name}", words(one), one.env)
    assert found_earlier(one) or place == "flush 3"
    ends_and_goes_back(one)


def words(move: Move) -> list[str]:
    return ["migrate", *move.losses, *REPLACE]


def ends_and_goes_back(move: Move) -> None:
    found = move.shop(*REPLACE)
    assert (found["state"], found["verified"], found["rows"]) == ("done", "full", ROWS)
    while left := [it["run"] for it in move.runs() if it["state"] != "rolled back"]:
        move.command("rollback", left[0], "--yes").expect(DONE)
    assert found_earlier(move)
    assert move.beside() == ["shop.db"]


def test_a_killed_run_that_is_rolled_back_leaves_the_earlier_tables(move: Move) -> None:
    earlier(move)
    kill(f"call {move.inserts} 3", ["migrate", *move.losses, *REPLACE], move.env)
    move.command("rollback", move.runs()[0]["run"], "--yes").expect(DONE)
    assert found_earlier(move)
    assert move.beside() == ["shop.db"]


def test_what_cannot_be_replaced_is_refused_by_name(move: Move) -> None:
    earlier(move)
    move.run(
        "create table mine (c integer references customers (id))",
        "create view yours as select id from items",
    )
    found = move.command("plan", *move.losses, *REPLACE).expect(REFUSED).result["problems"]
    named = {it["object"].rpartition(" ")[2].rpartition(".")[2] for it in found}
    assert named == {"mine", "yours"}
    found = move.command("plan", *move.losses, "--existing", "fill").expect(REFUSED).result
    assert "fill is not possible" in found["problems"][0]["message"]


def test_what_was_set_aside_is_removed_by_clean_alone(move: Move) -> None:
    earlier(move)
    run = move.shop(*REPLACE)["run"]
    left = move.command("clean", run, "--yes").expect(DONE).result
    assert left["runs"][0]["run"] == run
    assert move.beside() == ["shop.db"]
    assert all("windlass" not in name for name in move.tables())
    assert move.rows("select count(*) from customers") == [(300,)]
    assert "not" in move.command("rollback", run, "--yes").expect(REFUSED).said


def test_other_tables_of_an_sqlite_file_stay(source: Database, tmp_path: Path) -> None:
    one = IntoSqlite(source, tmp_path / "shop.db")
    earlier(one)
    one.run("create table mine (id int)", "insert into mine values (5)")
    run = one.shop(*REPLACE)["run"]
    assert one.rows("select id from mine") == [(5,)]
    kept = one.rows("select count(*) from sqlite_schema where name like '_windlass_2%'")
    assert kept == [(2,)]
    later = one.shop(*REPLACE)["run"]
    said = one.command("rollback", run, "--yes").expect(REFUSED).said
    assert later in said and "roll that back first" in said
    one.command("rollback", later, "--yes").expect(DONE)
    one.command("rollback", run, "--yes").expect(DONE)
    assert found_earlier(one) and one.rows("select id from mine") == [(5,)]


# MariaDB


@pytest.fixture
def maria(
    database: Callable[[int], Database], mariadb: MariaServer, maria_database: Callable[..., str]
) -> mysql_moves.Move:
    found = database(16)
    found.run(*mysql_moves.SHOP)
    into = maria_database()
    mariadb.grant("app", into, mysql_moves.RIGHTS)
    one = mysql_moves.Move(found, mariadb, into)
    one.run(
        "create table customers (id int primary key auto_increment, name varchar(40) unique)",
        "create table items (id int primary key, c int, constraint items_customer_fkey"
        " foreign key (c) references customers (id) on delete cascade)",
        "create index items_qty on items (c)",
        "create view busy as select name from customers",
        "insert into customers values (1, 'old'), (2, 'older')",
        "insert into items values (7, 1)",
        "create trigger tr before insert on items for each row set new.id = new.id",
    )
    return one


def test_tables_of_mariadb_are_renamed_and_put_back(maria: mysql_moves.Move) -> None:
    shape = maria.rows("show create table items")
    maria.run("create view uses as select count(*) as n from customers")
    first = maria.migrate(*REPLACE)
    assert (first["state"], first["verified"], first["rows"]) == ("done", "full", mysql_moves.ROWS)
    assert maria.rows("select n from uses") == [("300",)]
    with pytest.raises(Exception, match="foreign key"):
        maria.run("insert into items (id, customer) values (1000000, 99999)")
    second = maria.migrate(*REPLACE)
    said = maria.command("rollback", first["run"], "--yes").expect(REFUSED).said
    assert second["run"] in said
    maria.command("rollback", second["run"], "--yes").expect(DONE)
    assert maria.command("verify").expect(DONE).result["verified"] == "full"
    maria.command("rollback", first["run"], "--yes").expect(DONE)
    assert found_earlier(maria)
    assert maria.rows("show create table items") == shape
    assert maria.rows("select n from uses") == [("2",)]
    maria.run("delete from customers where id = 1")
    assert maria.rows("select count(*) from items") == [("0",)], "its key refers to the old table"


MARIADB = (
    f"call {MYSQL}.asides.Asides._rename 1",
    f"call {MYSQL}.asides.Asides._rename 2",
    f"call {MYSQL}.writing.Making._note 1",
    "call windlass.flows.convert.steps._copied 1",
    f"call {MYSQL}.journal.Journal.set_state 1",
    *(f"call {MYSQL}.session.TargetSession._all {number}" for number in range(30, 110, 4)),
)


@pytest.mark.parametrize("place", MARIADB)
def test_killed_anywhere_mariadb_has_both(maria: mysql_moves.Move, place: str) -> None:
    assert is_killed(place, ["migrate", *REPLACE], maria.env)
    found = maria.migrate(*REPLACE)
    assert (found["state"], found["verified"], found["rows"]) == ("done", "full", mysql_moves.ROWS)
    maria.command("rollback", found["run"], "--yes").expect(DONE)
    assert found_earlier(maria)
    assert maria.tables() == ["busy", "customers", "items"]


UNDOING = (
    f"call {MYSQL}.undoing.Undoing._drop 3",
    f"call {MYSQL}.asides.Asides.put_back 1",
    f"call {MYSQL}.asides.Asides._rename 1",
    f"call {MYSQL}.asides.Asides._rename 2",
    f"call {MYSQL}.asides.Asides._rename 3",
    f"call {MYSQL}.journal.Journal.set_state 1",
)


@pytest.mark.parametrize("place", UNDOING)
def test_a_killed_rollback_is_ended_by_the_same_command(
    maria: mysql_moves.Move, place: str
) -> None:
    run = maria.migrate(*REPLACE)["run"]
    kill(place, ["rollback", run, "--yes"], maria.env)
    maria.command("rollback", run, "--yes").expect(DONE)
    assert found_earlier(maria)
    assert maria.tables() == ["busy", "customers", "items"]


def test_a_run_that_is_rolled_back_in_part_is_not_resumed(maria: mysql_moves.Move) -> None:
    """Its tables' names are those of the earlier tables again."""
    kill("call windlass.flows.convert.steps._copied 2", ["migrate", *REPLACE], maria.env)
    run = maria.command("status").result["runs"][0]["run"]
    kill(f"call {MYSQL}.journal.Journal.set_state 1", ["rollback", run, "--yes"], maria.env)
    assert "rolled back in part" in maria.command("migrate", *REPLACE).expect(REFUSED).said
    assert found_earlier(maria)
    maria.command("rollback", run, "--yes").expect(DONE)
    assert found_earlier(maria)


def test_what_refers_to_a_table_of_mariadb_from_outside_is_named(maria: mysql_moves.Move) -> None:
    maria.run("create table mine (c int, foreign key (c) references customers (id))")
    found = maria.problems(*REPLACE)
    assert [one for one, _ in found] == [f"{maria.database}.mine"]
    maria.run("drop table mine")
    run = maria.migrate(*REPLACE)["run"]
    maria.command("clean", run, "--yes").expect(DONE)
    names = "select count(*) from information_schema.tables where table_schema = database()"
    assert maria.rows(f"{names} and table_name like '\\_windlass\\_2%'") == [("0",)]
