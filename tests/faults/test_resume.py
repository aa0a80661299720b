"""The same command resumes a stopped migration, and reports the effect on its snapshot."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psycopg
import pytest

from awaiting import await_true
from command import (
    DONE,
    INTERRUPTED,
    REFUSED,
    STOPPED,
    Ran,
    Running,
    finish,
    migrate,
    start,
    windlass,
)
from oracle import content_difference, schema_difference
from servers import Database, Pair, Server
from windlass.errors import WindlassError
from windlass.flows.migrate import undo
from windlass.flows.rollback import find_run

SLOWLY = ("--json", "--chunk-size", "64kB", "--jobs", "1")


def started(pair: Pair, *words: str, lines: int = 40) -> Running:
    """A migration that has journalled chunks of its second relation, and is far from its end."""
    process = start("migrate", *SLOWLY, *words, pair=pair)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if journalled(pair) >= lines:
            return process
        time.sleep(0.01)
    raise AssertionError(f"the move is over before it was stopped:\n{finish(process).said[-3000:]}")


def journalled(pair: Pair) -> int:
    try:
        found = pair.target.value("select count(*) from windlass.line where rows > 0")
    except psycopg.errors.Error:
        return 0
    assert isinstance(found, int)
    return found


def interrupted(pair: Pair, *words: str, number: signal.Signals = signal.SIGINT) -> Ran:
    process = started(pair, *words)
    os.kill(process.pid, number)
    return finish(process, 30)


def killed(pair: Pair, *words: str) -> None:
    process = started(pair, *words)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_move_says_how_to_resume_and_does(
    busy: Pair, number: signal.Signals
) -> None:
    ran = interrupted(busy, number=number).expect(INTERRUPTED)
    assert ran.result["state"] == "interrupted"
    before = journalled(busy)
    assert before >= 40
    done = migrate(busy, *SLOWLY[1:]).expect(DONE).result
    assert done["resumed"] is True
    assert content_difference(busy.source, busy.target) == []
    assert schema_difference(busy.source, busy.target) == []


def test_what_was_done_is_not_done_again(busy: Pair) -> None:
    killed(busy)
    query = "select step, item, at from windlass.line where rows > 0"
    before = set(busy.target.rows(query))
    migrate(busy, *SLOWLY[1:]).expect(DONE)
    assert before <= set(busy.target.rows(query))


def test_an_interrupted_move_is_listed_by_status(busy: Pair) -> None:
    interrupted(busy).expect(INTERRUPTED)
    status = windlass("status", "--json", pair=busy).expect(DONE).result
    (run,) = status["runs"]
    assert run["state"] == "interrupted"
    assert 0 < run["bytes"] < run["bytes_planned"]
    migrate(busy, *SLOWLY[1:]).expect(DONE)
    status = windlass("status", "--json", pair=busy).expect(DONE).result
    (run,) = status["runs"]
    assert run["state"] == "done"
    assert run["relations_done"] == run["relations"]


def test_a_killed_move_names_what_it_read_from_two_snapshots(busy: Pair) -> None:
    killed(busy)
    done = migrate(busy, *SLOWLY[1:]).expect(DONE).result
    assert len(done["snapshots"]) == 2
    used = {number for one in done["relations"] for number in one["snapshots"]}
    assert used == {1, 2}
    mixed = [one["source"] for one in done["relations"] if len(one["snapshots"]) > 1]
    assert [name for name in mixed if name not in str(done["notices"])] == []
    assert "2 snapshots" in str(done["notices"])


def test_a_relation_that_changed_under_a_killed_move_is_copied_again(busy: Pair) -> None:
    """Rows that were updated are in other blocks than before: resuming there would double some."""
    killed(busy)
    for name, column in (("accounts", "note"), ("pages", "body"), ("lines", "amount")):
        busy.source.run(f"update busy.{name} set {column} = {column}")
    done = migrate(busy, *SLOWLY[1:]).expect(DONE).result
    mixed = [one["source"] for one in done["relations"] if len(one["snapshots"]) > 1]
    assert not {"busy.accounts", "busy.pages", "busy.lines"} & set(mixed)
    assert content_difference(busy.source, busy.target) == []


def test_with_one_snapshot_a_killed_move_stops_rather_than_mix(busy: Pair) -> None:
    killed(busy, "--one-snapshot")
    before = journalled(busy)
    for _ in range(2):
        ran = migrate(busy, *SLOWLY[1:], "--one-snapshot").expect(STOPPED)
        assert "snapshot" in ran.result["message"]
        assert "without --one-snapshot" in ran.result["hint"]
        assert "--restart" in ran.result["hint"]
        assert journalled(busy) == before
    migrate(busy, *SLOWLY[1:]).expect(DONE)


def test_with_one_snapshot_a_move_that_loses_it_says_at_once_what_to_do(busy: Pair) -> None:
    process = started(busy, "--one-snapshot")
    busy.source.run(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    ran = finish(process).expect(STOPPED)
    assert "without --one-snapshot" in ran.result["hint"]
    done = migrate(busy, *SLOWLY[1:], "--one-snapshot", "--restart").expect(DONE).result
    assert len(done["snapshots"]) == 1


def test_a_snapshot_that_is_lost_after_the_copy_is_not_passed_over(pair: Pair) -> None:
    """All rows are of one, as asked for; what is read in another after that is named."""
    pair.source.run(*SMALL, *GATE)
    with pair.target.connect() as gate:
        gate.execute("select pg_advisory_lock(4711)")
        process = start("migrate", "--one-snapshot", pair=pair)
        await_true(pair, f"select exists ({WAITING})")
        process.kill()
        process.wait()
    done = migrate(pair, "--one-snapshot").expect(DONE).result
    assert {number for one in done["relations"] for number in one["snapshots"]} == {1}
    (notice,) = done["notices"]
    assert "the comparison" in notice and "later" in notice
    assert content_difference(pair.source, pair.target) == []


SMALL = (
    "create schema s",
    "create table s.rows (id int primary key, note text, old int)",
    "insert into s.rows select n, repeat(md5(n::text), 4), n from generate_series(1, 40000) n",
    "create table s.other (id serial primary key)",
    "insert into s.other select generate_series(1, 100)",
    "create function s.wait() returns int language sql as"
    " $$select 1 from pg_catalog.pg_advisory_lock_shared(4711)$$",
    "analyze",
)
GATE = ("create materialized view s.gate as select s.wait() as n",)
WAITING = "select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_is_down_stops_what_would_be_resumed(
    own_server: Callable[..., Server],
    database: Callable[[int], Database],
    side: str,
) -> None:
    """A script repeats what was stopped, and gives up on what was refused."""
    own = own_server(18)
    pair = Pair(own.create_database(), database(18))
    if side == "target":
        pair = Pair(pair.target, pair.source)
    pair.source.run(*SMALL)
    process = start("migrate", *SLOWLY, pair=pair)
    await_true(pair, "select to_regclass('windlass.line') is not null")
    await_true(pair, "select exists (select from windlass.line where rows > 0)")
    process.kill()
    process.wait()
    own.stop()
    ran = migrate(pair, *SLOWLY[1:]).expect(STOPPED)
    assert f"{side} cannot be reached" in ran.result["message"]
    assert "run the same command again" in ran.result["hint"]
    other = ("--include", "s.other")
    migrate(pair, *SLOWLY[1:], *other).expect(STOPPED)  # would begin, once it is up
    own.start()
    migrate(pair, *SLOWLY[1:]).expect(DONE)
    assert content_difference(pair.source, pair.target) == []


@pytest.mark.parametrize(
    ("side", "change", "back", "said"),
    [
        ("source", "alter table s.rows alter old type bigint",
         "alter table s.rows alter old type int", "column old is bigint now, and was integer"),
        ("source", "alter table s.rows drop old", "", "s.rows: column old is gone"),
        ("source", "alter table s.rows add new int", "alter table s.rows drop new",
         "s.rows: column new is new"),
        ("source", "alter table s.rows rename to lines", "alter table s.lines rename to rows",
         "s.rows was renamed to s.lines"),
        ("source", "drop table s.rows", "", "s.rows is gone"),
        ("source", "alter sequence s.other_id_seq rename to numbers",
         "alter sequence s.numbers rename to other_id_seq", "sequence s.other_id_seq is gone"),
        ("target", "drop table s.rows", "", "s.rows is gone"),
    ],
)  # fmt: skip
def test_a_change_under_a_killed_move_is_named_and_has_a_way_on(
    pair: Pair, side: str, change: str, back: str, said: str
) -> None:
    pair.source.run(*SMALL)
    killed(pair)
    database = pair.source if side == "source" else pair.target
    database.run(change)
    for _ in range(2):
        ran = migrate(pair, *SLOWLY[1:]).expect(STOPPED)
        assert said in ran.result["message"]
        assert "--restart" in ran.result["hint"]
    if back:
        database.run(back)
    migrate(pair, *SLOWLY[1:], *(() if back else ("--restart",))).expect(DONE)
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def test_restart_starts_over_and_ends_equal(busy: Pair) -> None:
    killed(busy)
    done = migrate(busy, *SLOWLY[1:], "--restart").expect(DONE).result
    assert done["resumed"] is False
    assert len(done["snapshots"]) == 1
    assert content_difference(busy.source, busy.target) == []


def test_a_stopped_move_resumes_only_as_the_same_move(busy: Pair) -> None:
    killed(busy)
    ran = migrate(busy, *SLOWLY[1:], "--exclude", "busy.keyless").expect(REFUSED)
    assert "other options" in str(ran.result["problems"])
    migrate(busy, *SLOWLY[1:]).expect(DONE)
    assert content_difference(busy.source, busy.target) == []


def test_a_second_run_beside_the_first_is_refused(busy: Pair) -> None:
    process = started(busy)
    try:
        ran = migrate(busy).expect(REFUSED)
        assert "progress" in str(ran.result["problems"]) or "running" in str(ran.result["problems"])
    finally:
        finish(process).expect(DONE)
    assert content_difference(busy.source, busy.target) == []


def test_a_run_that_is_rolled_back_in_part_is_not_resumed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of very many objects takes several transactions, and may stop between them."""
    pair.source.run(*SMALL, "create index on s.rows (old)", "create index on s.rows (note)")
    run = migrate(pair, "--verify", "none").expect(DONE).result["run"]
    pair.target.run(
        "update windlass.run set state = 'stopped'",
        "create view public.leans as select * from s.other",
    )
    monkeypatch.setattr(undo, "MOST_PORTIONS", 1)
    monkeypatch.setattr(undo, "_portion", lambda _plan: 1)
    with pair.target.connect() as connection, pytest.raises(WindlassError):
        undo.undo(connection, find_run(connection, run))
    assert pair.target.value("select count(*) from pg_indexes where schemaname = 's'") < 4
    for _ in range(2):
        ran = migrate(pair, "--verify", "none").expect(STOPPED)
        assert f"windlass rollback {run}" in ran.result["hint"]
    pair.target.run("drop view public.leans")
    migrate(pair, "--verify", "none", "--restart").expect(DONE)
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def test_what_does_not_pass_by_itself_is_to_be_removed_first(pair: Pair) -> None:
    """The same command alone would stop there again, so it is not all that the hint says."""
    pair.source.run(*SMALL, "create index on s.rows (old)")
    pair.target.run(
        "create function public.refuse() returns event_trigger language plpgsql as"
        " $$begin raise exception 'no indexes here'; end$$",
        "create event trigger refusing on ddl_command_start when tag in ('CREATE INDEX')"
        " execute function public.refuse()",
    )
    for _ in range(2):
        ran = migrate(pair).expect(STOPPED)
        assert "no indexes here" in ran.result["message"]
        assert ran.result["hint"].startswith("remove the cause; then run the same command again")
        assert f"windlass rollback {ran.result['run']}" in ran.result["hint"]
    pair.target.run("drop event trigger refusing", "drop function public.refuse()")
    migrate(pair).expect(DONE)
    assert schema_difference(pair.source, pair.target) == []
