"""A migration from PostgreSQL into a file of another engine, whichever: how it is proven, resumed
and undone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED
from file_moves import CUSTOMERS, ITEMS, ROWS, SHOP, IntoDuckDb, IntoSqlite, Move, at_first_bytes
from killing import kill
from servers import Database
from windlass import api
from windlass.model.outcome import State

ENGINES = (IntoSqlite, IntoDuckDb)
Moved = Callable[..., Move]


@pytest.fixture(params=ENGINES, ids=lambda one: one.engine)
def move(
    request: pytest.FixtureRequest, database: Callable[[int], Database], tmp_path: Path
) -> Moved:
    def make(*statements: str) -> Move:
        source = database(16)
        source.run(*statements)
        made: Move = request.param(source, tmp_path / "shop.db")
        return made

    return make


def test_everything_arrives_and_works(move: Moved) -> None:
    one = move(*SHOP)
    found = one.shop()
    assert (found["state"], found["verified"], found["rows"]) == ("done", "full", ROWS)
    assert {it["class"] for it in found["losses"]} == set(one.accepts)
    assert one.beside() == ["shop.db"]
    assert one.rows('select "a b", "select" from "odd ""name" order by 1 nulls first, 2') == [
        (None, ""), (1, "tab\there"), (3, None), (3, None), (4, "\\N"), (5, "é€😀")
    ]  # fmt: skip
    assert one.rows("select count(*), sum(case when doubled = qty * 2 then 1 end) from items") == [
        (ITEMS, ITEMS)
    ]
    busy = "select id, name, n from busy order by id"
    assert one.rows(busy) == one.source.rows(busy)
    assert one.rows("select count(*) from parts") == [(100,)]
    # definitions work
    one.run("insert into customers (name) values ('new')")
    ids = one.rows("select id, score, state from customers where name = 'new'")
    assert ids == [(CUSTOMERS + 1, 1.5, "new")]
    for statement in (
        "insert into items (customer, qty) values (1, 0)",
        "insert into items (customer) values (99999)",
        "insert into customers (name) values ('x')",
        "insert into customers (name, state) values ('xyz', 'other')",
        "update customers set email = 'e1@x' where id = 2",
        "insert into customers (name, score) values ('xyz', 'text')",
        "insert into customers (name) values (null)",
        "insert into parts values (1, 'again')",
    ):
        with pytest.raises(Exception, match=r"(?i)constraint|convert|foreign key|cannot store"):
            one.run(statement)


def test_what_a_domain_says_of_a_column_is_kept(move: Moved) -> None:
    one = move(
        "create domain needed as text not null",
        "create domain counted as int default 7",
        "create domain kept as counted not null",
        "create table t (id int primary key, a needed, b counted, c kept, d counted default 8)",
        "insert into t values (1, 'x', 1, 1, 1)",
    )
    one.migrate()
    one.run("insert into t (id, a) values (2, 'y')")
    assert one.rows("select b, c, d from t where id = 2") == [(7, 7, 8)]
    for statement in ("insert into t (id) values (3)", "insert into t values (3, 'z', 1, null, 1)"):
        with pytest.raises(Exception, match=r"(?i)constraint"):
            one.run(statement)


def test_every_planted_difference_is_found(move: Moved) -> None:
    one = move(*SHOP)
    one.shop()
    same = one.command("verify").expect(DONE).result
    assert (same["verified"], same["rows"]) == ("full", ROWS)
    one.run(
        "update items set note = 'Note 77' where id = 77",
        "update items set total = total + 1e-12 where id = 78",
        "update customers set score = null where id = 3",
        "delete from items where id = 99",
        "insert into customers (id, name) values (5000, 'new')",
        'delete from "odd ""name" where rowid = (select min(rowid) from "odd ""name"'
        ' where "a b" = 3)',
    )
    found = one.command("verify", "--show-values").expect(DIFFERENT).result["differences"]
    named = {(one["kind"], tuple(one["key"].values()), tuple(one["columns"])) for one in found}
    assert named - {("count", (), ())} == {
        ("changed", ("77",), ("note",)),
        ("changed", ("78",), ("total",)),
        ("changed", ("3",), ("score",)),
        ("missing", ("99",), ()),
        ("missing", (), ()),
        ("extra", ("5000",), ()),
    }
    score = next(one for one in found if one["columns"] == ["score"])
    assert score["target"] == {"score": None} and score["source"]["score"]
    one.run("drop table parts")
    lacking = one.command("verify").expect(DIFFERENT).result
    assert "is missing on the target" in [it["message"] for it in lacking["differences"]]
    parts = next(it for it in lacking["relations"] if "parts" in it["target"])
    assert (parts["verified"], parts["differs"], parts["rows"]) == ("", "missing", 0)


_FILE = "windlass.engines.embedded.converting.file"
PLACES = (
    f"call {_FILE}.TargetFile.writing 1",
    "call windlass.flows.convert.steps._copied 1",
    "insert 3",
    "call windlass.flows.convert.steps._execute 2",
    "call windlass.flows.convert.proof.validate_content 2",
    f"call {_FILE}.flush 1",
    f"call {_FILE}.flush 2",
)


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_the_same_command_ends_it(move: Moved, place: str) -> None:
    one = move(*SHOP)
    named = place.replace("insert", f"call {one.inserts}")
    kill(named, ["migrate", *one.losses], one.env)
    is_placed = place.endswith("flush 2")
    assert one.path.exists() == is_placed, "nobody sees a file that is not complete"
    if not is_placed:
        one.source.run("update customers set score = 77 where id = 1")
    found = one.shop()
    assert (found["state"], found["verified"], found["rows"]) == ("done", "full", ROWS)
    assert one.beside() == ["shop.db"]
    one.source.run("update customers set score = 0.25 where id = 1")
    one.run("update customers set score = 0.25 where id = 1")
    assert one.command("verify").expect(DONE).result["verified"] == "full"


def test_what_was_read_from_two_snapshots_is_named(move: Moved) -> None:
    one = move(*SHOP)
    kill(f"call {one.inserts} 5", ["migrate", *one.losses], one.env)
    assert [(it["state"], it["flow"]) for it in one.runs()] == [("running", "convert")]
    refused = one.command("migrate", *one.losses, "--verify", "counts").expect(REFUSED)
    assert "has other options" in refused.said
    found = one.shop()
    assert len(found["snapshots"]) == 2
    assert any("not all was read in one snapshot" in it for it in found["notices"])
    again = one.shop()
    assert again["already"] and again["run"] == found["run"]


def test_a_lost_snapshot_does_not_end_the_run(move: Moved) -> None:
    one = move(*SHOP)
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name like 'windlass%'"
    )
    found = api.migrate(one.spec, at_first_bytes(lambda: one.source.run(cut)))
    assert (found.state, found.proof.verified, found.rows) == (State.DONE, "full", ROWS)
    assert len(found.snapshots) == 2
    assert one.beside() == ["shop.db"]


def test_ctrl_c_is_journalled_and_resumed(move: Moved) -> None:
    one = move(*SHOP)
    found = api.migrate(one.spec, at_first_bytes(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert found.state is State.INTERRUPTED
    assert [it.state for it in api.status(one.url)] == [State.INTERRUPTED]
    again = api.migrate(one.spec)
    assert (again.state, again.run, again.rows) == (State.DONE, found.run, ROWS)


def test_a_rollback_removes_the_file_unless_others_have_changed_it(move: Moved) -> None:
    one = move(*SHOP)
    run = one.shop()["run"]
    one.run("update items set qty = 5 where id = 1", "create table mine (id int)")
    refused = one.command("rollback", run, "--yes").expect(REFUSED).result["problems"]
    assert {it["object"].rpartition(".")[2] for it in refused} == {"items", "mine"}
    one.run("update items set qty = 2 where id = 1", "drop table mine")
    one.command("rollback", run, "--yes").expect(DONE)
    assert one.beside() == []
    kill("call windlass.flows.convert.steps._execute 2", ["migrate", *one.losses], one.env)
    unfinished = one.runs()[0]["run"]
    assert one.shop("--restart")["run"] != unfinished
    one.command("rollback", one.runs()[0]["run"], "--yes").expect(DONE)
    assert one.beside() == []


def test_a_file_in_use_gets_tables_and_loses_only_those(move: Moved) -> None:
    one = move(*SHOP)
    one.run("create table mine (id int)", "insert into mine values (7)")
    kill(f"call {one.inserts} 3", ["migrate", *one.losses], one.env)
    run = one.shop()["run"]
    assert one.rows("select id from mine") == [(7,)]
    assert one.rows("select count(*) from items") == [(ITEMS,)]
    one.run("create view uses as select count(*) from customers")
    refused = one.command("rollback", run, "--yes").expect(REFUSED).result["problems"]
    assert [it["object"].rpartition(".")[2] for it in refused] == ["uses"]
    one.run("drop view uses")
    one.command("rollback", run, "--yes").expect(DONE)
    assert one.tables() == ["mine"]
    assert [it["state"] for it in one.runs()] == ["rolled back"]


def test_what_cannot_be_is_refused_before_anything_is_written(move: Moved) -> None:
    one = move(
        "create table a (id int)",
        'create table "A" (id int)',
        'create table b (c int, "C" int)',
        "create table _windlass_own (id int)",
        "create table d ()",
    )
    found = dict(one.problems())
    assert "names that begin with _windlass_ are not free" in found.pop("public._windlass_own")
    assert found == {
        'public."A" and public.a': f"would have the same name in {one.engine}",
        "public.b": f"columns c and C are one in {one.engine}",
        "public.d": f"has no columns, which {one.engine} needs",
    }
    only = ("--include", "a")
    words = ("--type", "a.id=date", "--type", "a.no=text", "--existing", "fill")
    found = dict(one.problems(*only, *words))
    none_of = f"'date' is none of the types of {one.engine} that can be chosen: "
    assert found.pop("types: a.id").startswith(none_of)
    assert found == {
        "existing": f"fill is not possible in {one.engine}",
        "types: a.no": "is no column of a selected table",
    }
    assert one.beside() == []
    one.run("create table A (x int)")
    assert dict(one.problems(*only)) == {"main.a": f"exists in {one.engine} {one.path}"}
    one.command("plan", "--follow").expect(BAD_SPEC)
    one.command("plan", "--source", f"{one.engine.lower()}:///tmp/other.db").expect(BAD_SPEC)
    nowhere = type(one)(one.source, one.path.parent / "missing" / "shop.db")
    assert dict(nowhere.problems(*only)) == {"target": f"there is no folder {nowhere.path.parent}"}
    one.path.write_bytes(b"no database at all, but long enough to have a header" * 20)
    refused = one.command("plan", *only).expect(REFUSED)
    assert "not a database" in refused.said or "not a valid DuckDB database" in refused.said
