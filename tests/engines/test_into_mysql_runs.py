"""A migration from PostgreSQL into MariaDB: how it is proven, resumed, kept from others and
undone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from command import DIFFERENT, DONE, REFUSED, windlass
from killing import is_killed, kill
from mariadb_server import MariaServer
from mysql_moves import RIGHTS, ROWS, SHOP, Move
from servers import Database
from windlass import api
from windlass.model.event import BytesCopied, Event, FlowPlanned
from windlass.model.outcome import State


@pytest.fixture
def move(
    database: Callable[[int], Database], mariadb: MariaServer, maria_database: Callable[..., str]
) -> Callable[..., Move]:
    def make(*statements: str) -> Move:
        source = database(16)
        source.run(*statements)
        into = maria_database()
        mariadb.grant("app", into, RIGHTS)
        return Move(source, mariadb, into)

    return make


def test_every_planted_difference_is_found(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    one.migrate()
    assert one.command("verify").expect(DONE).result["verified"] == "full"
    one.run(
        "update items set note = 'Note 77' where id = 77",
        "update items set total = total + 1e-12 where id = 78",
        "update customers set email = '' where id = 3",
        "update customers set name = concat(name, ' ') where id = 4",
        "update customers set created = created + interval 1 microsecond where id = 5",
        "delete from items where id = 99",
        "insert into customers (id, name) values (5000, 'new')",
        'delete from `odd ``"name` where `a ``b` = 3 limit 1',
    )
    found = one.command("verify", "--show-values").expect(DIFFERENT).result["differences"]
    named = {(one["kind"], tuple(one["key"].values()), tuple(one["columns"])) for one in found}
    assert named - {("count", (), ())} == {
        ("changed", ("77",), ("note",)),
        ("changed", ("78",), ("total",)),
        ("changed", ("3",), ("email",)),
        ("changed", ("4",), ("name",)),
        ("changed", ("5",), ("created",)),
        ("missing", ("99",), ()),
        ("missing", (), ()),
        ("extra", ("5000",), ()),
    }
    email = next(one for one in found if one["columns"] == ["email"])
    assert (email["source"], email["target"]) == ({"email": None}, {"email": ""})
    one.run("drop table parts")
    found = one.command("verify").expect(DIFFERENT).result["differences"]
    assert "is missing on the target" in [it["message"] for it in found]


_HERE = "windlass.engines.mysql.destination"
PLACES = (
    "call windlass.flows.convert.steps._copied 1",
    f"call {_HERE}.destination.add_rows 2",
    f"call {_HERE}.writing.Making._note 2",  # a table is there under a name of ours
    f"call {_HERE}.writing.Making._note 3",  # it has its name, which is not journalled
    f"call {_HERE}.writing.Making._note_shape 2",
    "call windlass.flows.convert.steps._execute 2",
    f"call {_HERE}.journal.Journal.set_state 1",  # all is done but the end
    *(f"call {_HERE}.session.TargetSession._all {number}" for number in range(30, 270, 8)),
)  # before the statement of this number


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_the_same_command_ends_it(move: Callable[..., Move], place: str) -> None:
    one = move(*SHOP)
    was_killed = is_killed(place, ["migrate"], one.env)
    assert was_killed or "_all" in place
    found = one.migrate()
    assert (found["state"], found["verified"], found["rows"]) == ("done", "full", ROWS)
    assert found["losses"] == []
    assert one.tables() == ["busy", "customers", "items", 'odd `"name', "parts"]
    keys = "select count(*) from information_schema.referential_constraints where"
    assert one.rows(f"{keys} constraint_schema = database()") == [("2",)]
    one.command("rollback", found["run"], "--yes").expect(DONE)
    assert one.tables() == []


def test_a_killed_run_is_resumed_by_the_same_command_alone(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    kill(f"call {_HERE}.destination.add_rows 3", ["migrate"], one.env)
    runs = windlass("status", "--target", one.url, "--json").expect(DONE).result["runs"]
    assert [(it["state"], it["flow"], it["active"]) for it in runs] == [
        ("running", "convert", False)
    ]
    refused = one.command("migrate", "--verify", "counts").expect(REFUSED)
    assert "has other options" in refused.said
    found = one.migrate()
    assert len(found["snapshots"]) == 2
    again = one.migrate()
    assert again["already"] and again["run"] == found["run"]


def _at_first_bytes(act: Callable[[], Any]) -> Callable[[Event], None]:
    left = [act]

    def emit(event: Event) -> None:
        if isinstance(event, BytesCopied) and left:
            left.pop()()

    return emit


CHUNKED = ("migrate", "--chunk-size", "128kB", "--jobs", "1")


def test_chunks_of_a_table_are_copied_at_the_same_time(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    begun: list[str] = []
    both = threading.Barrier(2)

    def emit(event: Event) -> None:
        if isinstance(event, BytesCopied) and event.group == "public.items":
            begun.append(event.item)
            if len(begun) <= 2:  # each waits until the other one has sent rows as well
                both.wait(60)

    words = {"chunk_size": 128 << 10, "jobs": 2}
    found = api.migrate(one.spec.model_copy(update=words), emit)
    assert (found.state, found.proof.verified, found.rows) == (State.DONE, "full", ROWS)
    assert begun[0] != begun[1]
    chunks = {it.source: it.chunks for it in found.relations}
    assert chunks["public.items"] == len(set(begun)) > 5 and chunks["public.parts"] == 1


@pytest.mark.parametrize("place", ["steps._copied 5", "context.Conversion.complete 3", "complete"])
def test_a_table_that_is_copied_in_part_has_each_row_once(
    move: Callable[..., Move], place: str
) -> None:
    one = move(*SHOP)
    plan = one.command("plan", *CHUNKED[1:]).expect(DONE).result
    count = next(it["chunks"] for it in plan["tables"] if it["source"] == "public.items")
    last = f"context.Conversion.complete {count}"
    kill(f"call windlass.flows.convert.{last if place == 'complete' else place}", CHUNKED, one.env)
    found = one.migrate(*CHUNKED[1:])
    assert (found["verified"], found["rows"]) == ("full", ROWS)
    again = "public.items was copied in part, and is copied again" in found["notices"]
    assert again == (place != "complete")
    one.command("rollback", found["run"], "--yes").expect(DONE)
    assert one.tables() == []


def test_a_chunk_that_is_committed_late_is_not_mixed_with_those_of_another_snapshot(
    move: Callable[..., Move],
) -> None:
    """Its process was killed while it waited for the server, which ended the commit after the next
    process had found no chunk."""
    one = move(
        "create table notes (n int, t text)",
        "insert into notes select i, 'note ' || i from generate_series(1, 12000) i",
        "analyze",
    )
    kill("call windlass.flows.convert.steps._copied 2", CHUNKED, one.env)
    one.run(
        "create table late as select * from notes",
        "create table late_line as select * from _windlass_lines where step = 'copy_chunk'",
        "delete from _windlass_lines where step = 'copy_chunk'",
        "delete from notes",
    )
    assert one.rows("select count(*) from late_line") == [("1",)]
    one.source.run("update notes set t = 'moved' where n = 1")  # into the last block
    left = ["insert into notes select * from late"]
    left.append("insert into _windlass_lines select * from late_line")

    def emit(event: Event) -> None:
        if isinstance(event, FlowPlanned):
            one.run(*left)
            left.clear()

    found = api.migrate(one.spec.model_copy(update={"chunk_size": 128 << 10, "jobs": 1}), emit)
    assert not left
    assert (found.state, found.proof.verified, found.rows) == (State.DONE, "full", 12_000)
    assert one.rows("select t from notes where n = 1") == [("moved",)]
    assert one.rows("select count(*), count(distinct n) from notes") == [("12000", "12000")]
    assert "public.notes was copied in part, and is copied again" in found.notices


def test_a_run_that_has_copied_a_table_in_part_is_undone(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    kill("call windlass.flows.convert.steps._copied 4", CHUNKED, one.env)
    run = windlass("status", "--target", one.url, "--json").expect(DONE).result["runs"][0]["run"]
    one.run("update items set note = 'theirs' limit 1")
    refused = one.command("rollback", run, "--yes").expect(REFUSED).result["problems"]
    assert [it["object"] for it in refused] == [f"{one.database}.items"]
    one.run("update items set note = concat('note ', id) where note = 'theirs'")
    one.command("rollback", run, "--yes").expect(DONE)
    assert one.tables() == []


def test_two_processes_never_work_on_one_database(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    seen: list[Any] = []

    def others() -> None:
        runs = windlass("status", "--target", one.url, "--json").expect(DONE).result["runs"]
        seen.append(runs[0]["active"])
        seen.append(one.command("migrate").expect(REFUSED).said)
        seen.append(one.command("rollback", runs[0]["run"], "--yes").expect(REFUSED).said)

    found = api.migrate(one.spec, _at_first_bytes(others))
    assert (found.state, found.proof.verified) == (State.DONE, "full")
    assert seen[0] is True
    for said in seen[1:]:
        assert f"another process migrates into {one.database} on" in said


def test_lost_sessions_do_not_end_the_run(move: Callable[..., Move]) -> None:
    one = move(*SHOP)

    def cut() -> None:
        mine = f"user = 'app' and db = '{one.database}'"
        for (number,) in one.rows(f"select id from information_schema.processlist where {mine}"):
            one.run(f"kill connection {number}")

    found = api.migrate(one.spec, _at_first_bytes(cut))
    assert (found.state, found.proof.verified, found.rows) == (State.DONE, "full", ROWS)


def test_ctrl_c_is_journalled_and_resumed(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    found = api.migrate(one.spec, _at_first_bytes(lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert found.state is State.INTERRUPTED
    assert [it.state for it in api.status(one.url)] == [State.INTERRUPTED]
    again = api.migrate(one.spec)
    assert (again.state, again.run, again.rows) == (State.DONE, found.run, ROWS)


def test_a_rollback_drops_what_the_run_made_unless_others_have_changed_it(
    move: Callable[..., Move],
) -> None:
    one = move(*SHOP)
    one.run("create table mine (id int)", "insert into mine values (7)")
    run = one.migrate()["run"]
    others = (
        "update items set qty = 5 where id = 1",
        "create view uses as select count(*) from customers",
        "create table refers (c int, foreign key (c) references customers (id))",
        "alter table parts add column more int",
        "create trigger tr before insert on items for each row set new.qty = 1",
    )
    one.run(*others)
    refused = one.command("rollback", run, "--yes").expect(REFUSED).result["problems"]
    named = {it["object"].removeprefix(f"{one.database}.") for it in refused}
    assert named == {"items", "uses", "refers", "parts", "tr"}
    one.run(
        "update items set qty = 2 where id = 1", "drop view uses", "drop table refers",
        "alter table parts drop column more", "drop trigger tr",
    )  # fmt: skip
    one.command("rollback", run, "--yes").expect(DONE)
    assert one.tables() == ["mine"]
    assert one.rows("select id from mine") == [("7",)]
    runs = windlass("status", "--target", one.url, "--json").expect(DONE).result["runs"]
    assert [it["state"] for it in runs] == ["rolled back"]
    windlass("clean", "--target", one.url, "--yes", "--json").expect(DONE)
    # an unfinished one
    kill("call windlass.flows.convert.steps._copied 1", ["migrate"], one.env)
    run = windlass("status", "--target", one.url, "--json").expect(DONE).result["runs"][0]["run"]
    one.run("insert into parts values (1000, 'theirs', null)")
    refused = one.command("rollback", run, "--yes").expect(REFUSED).result["problems"]
    assert [it["object"] for it in refused] == [f"{one.database}.parts"]
    kill(f"call {_HERE}.undoing.Undoing._drop 3", ["rollback", run, "--yes", "--force"], one.env)
    one.command("rollback", run, "--yes", "--force").expect(DONE)
    assert one.tables() == ["mine"]


def test_a_journal_that_another_account_has_made_is_not_trusted(move: Callable[..., Move]) -> None:
    """Its plans are statements that the run would execute."""
    one = move(*SHOP)
    kill("call windlass.flows.convert.steps._copied 1", ["migrate"], one.env)
    one.run("create or replace view _windlass_maker as select 'windlass' as made_by")  # by root
    for words in (("migrate",), ("plan",), ("verify",)):
        ran = one.command(*words)
        assert (words == ("verify",)) == (ran.code in (DONE, DIFFERENT)), ran.why
        assert words == ("verify",) or "is made by root@localhost" in ran.said
    one.run("drop view _windlass_maker")
    one.run(
        "update _windlass_runs set plan = replace(plan, 'create index `items_qty`',"
        " 'create table `stolen` as select * from mysql.user -- `')"
    )
    one.run("create definer = app@'127.0.0.1' view _windlass_maker as select 1 as made_by")
    said = one.command("migrate").said
    assert "has a statement that no plan of ours has" in said
