"""Cut over and back under clients that write: no acknowledged entry is lost, none is doubled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from awaiting import until
from command import DONE, REFUSED, finish, start, windlass
from cutovers import TAKEN_BACK, WIDE, Moving, moving, phase, until_same, variables
from followed import in_thread
from killing import kill
from servers import PASSWORD, Database, Pair, verifier
from windlass.demo.ledger import faults

FREEZING = "windlass.following.freezing"
# a process dies just before each of these
UNDECIDED = (
    "begin",
    "stop_writers",
    "put_marker",
    "close_for_good",
    "set_sequences",
    "put_marker 2",
    "look_once_more",
    "decide",
)
DECIDED = ("open_side", "note_opened")
LEFT = (
    "select slot_name::text from pg_replication_slots where database = current_database()"
    " union all select pubname::text from pg_publication"
    " union all select evtname::text from pg_event_trigger"
)

Moves = Callable[[Pair], Moving]


@pytest.fixture
def ways(logical: Callable[[int], Database]) -> Callable[[int, int], Pair]:
    return lambda old, new: Pair(logical(old), logical(new))


@pytest.fixture
def moves(tmp_path: Path) -> Iterator[Moves]:
    """Makes a pair follow, under clients."""
    with ExitStack() as stack:
        yield lambda pair: stack.enter_context(moving(pair, tmp_path))


@pytest.fixture
def moved(ways: Callable[[int, int], Pair], moves: Moves) -> Moving:
    return moves(ways(16, 18))


@pytest.mark.parametrize(("old", "new"), [(16, 18), (15, 18), (15, 16)])
def test_forth_and_back_and_forth_again_under_writers(
    ways: Callable[[int, int], Pair], moves: Moves, old: int, new: int
) -> None:
    moved = moves(ways(old, new))
    rehearsed = moved.cut_over("--rehearse").expect(DONE).result["cutover"]
    assert rehearsed["is_rehearsal"] and rehearsed["freeze_ms"] > 0
    assert moved.open_now is moved.pair.source and phase(moved.pair) == "following"
    for back in (False, True, False):
        result = moved.cut_over(*["--back"] * back).expect(DONE).result["cutover"]
        assert result["phase"] == phase(moved.pair) == ("following" if back else "switched")
        assert 0 < result["freeze_ms"] < 20_000 and result["sequences"] == 1
        left, opened = moved.pair.source, moved.pair.target
        left, opened = (opened, left) if back else (left, opened)
        assert moved.open_now is opened
        with left.connect() as late, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            late.execute("delete from ledger.entry")
        moved.check()
    assert all(reader.looks for reader in moved.ledger.readers)


@pytest.mark.parametrize("settled", ["source", "target"])
def test_back_from_18_to_15_it_is_settled_on_either_side_and_nothing_is_left(
    ways: Callable[[int, int], Pair], moves: Moves, settled: str
) -> None:
    moved = moves(ways(15, 18))
    for words in ([], ["--back"], *([[]] if settled == "target" else [])):
        moved.cut_over(*words).expect(DONE)
        moved.check()
    command = "finish" if settled == "target" else "abandon"
    windlass(command, "--yes", pair=moved.pair).expect(DONE)
    finish(moved.follower)
    moved.check()
    for side in (moved.pair.source, moved.pair.target):
        assert side.rows(LEFT) == []
    assert moved.pair.source.value("select to_regnamespace('windlass')") is None


def test_both_sides_are_the_same_once_nobody_writes(
    ways: Callable[[int, int], Pair], tmp_path: Path
) -> None:
    pair = ways(16, 18)
    with ExitStack() as stack:
        moved = stack.enter_context(moving(pair, tmp_path, readers=False))
        moved.cut_over().expect(DONE)
        moved.check()
        moved.ledger.stop()
        until_same(pair)
        assert faults(pair.source.url, tmp_path) == faults(pair.target.url, tmp_path) == []


@pytest.mark.parametrize("back", [False, True], ids=["forth", "back"])
@pytest.mark.parametrize("mark", [*UNDECIDED, *DECIDED])
def test_killed_at_any_mark_nothing_is_lost(moved: Moving, mark: str, back: bool) -> None:
    words = ["--back"] * back
    if back:
        moved.cut_over().expect(DONE)
    _die(moved, mark, words)
    ran = moved.cut_over(*words).expect(DONE)
    assert ran.result["already"] is (mark in DECIDED)
    moved.check()
    moved.cut_over(*([] if back else ["--back"])).expect(DONE)
    moved.check()


def _die(moved: Moving, mark: str, words: list[str]) -> None:
    kill(f"call {FREEZING}.{mark}", [*moved.words, *WIDE, *words], variables(moved.pair))


def test_the_process_that_follows_lets_writers_continue_after_a_cutover_that_died(
    moved: Moving,
) -> None:
    _die(moved, "set_sequences", [])
    until(lambda: phase(moved.pair) == "following", "the cutover is taken back")
    moved.check()
    assert moved.open_now is moved.pair.source


def test_applications_are_led_even_if_another_command_has_opened_the_side(moved: Moving) -> None:
    _die(moved, "open_side", [])
    moved.follow_again()
    query = "select detail->>'unled' from windlass.following"
    until(lambda: moved.pair.target.value(query) == "true", "the target is open")
    assert moved.open_now is moved.pair.source
    assert status_of(moved)["next_steps"][0] == "windlass cutover --on-switch CMD"
    assert windlass("cutover", "--yes", "--json", pair=moved.pair).expect(DONE).result["already"]
    assert moved.pair.target.value(query) == "true", "nobody has led them"
    assert moved.cut_over().expect(DONE).result["already"]
    assert moved.open_now is moved.pair.target and moved.pair.target.value(query) is None
    moved.check()


def status_of(moved: Moving) -> dict[str, Any]:
    (found,) = windlass("status", "--json", pair=moved.pair).expect(DONE).result["runs"]
    return dict(found["following"])


def test_a_decided_cutover_that_died_is_shown_with_the_command_that_completes_it(
    moved: Moving,
) -> None:
    _die(moved, "open_side", [])
    found = status_of(moved)
    assert found["next_steps"] == ["windlass cutover"]
    assert "target may still be closed to applications; run windlass cutover" in str(found)
    moved.cut_over().expect(DONE)
    assert "died" not in str(status_of(moved)["blockers"])


def test_the_process_that_follows_can_die_and_come_back_in_each_phase(moved: Moving) -> None:
    for back in (None, False, True, False):
        if back is not None:
            moved.cut_over(*["--back"] * back).expect(DONE)
        moved.follow_again()
        moved.check()
    moved.cut_over("--back").expect(DONE)
    moved.check()


# taken back, or refused before


def test_what_takes_too_long_is_taken_back_and_writers_continue(moved: Moving) -> None:
    with moved.follower_stopped():
        ran = moved.cut_over("--no-reverse", "--max-freeze", "1s").expect(TAKEN_BACK)
        assert ran.result["state"] == "taken back" and ran.result["stopped_by"] == "time"
        assert moved.open_now is moved.pair.source and phase(moved.pair) == "following"
        moved.until_written()
    moved.cut_over().expect(DONE)
    moved.check()


def test_a_session_that_writes_after_the_seal_takes_it_back(moved: Moving) -> None:
    """One that is spared, and sets itself to write."""
    source, stop = moved.pair.source, threading.Event()
    source.run(
        f"create role late_writer login password '{verifier(PASSWORD)}'",
        "grant usage on schema ledger to late_writer",
        "grant select, update on ledger.account to late_writer",
    )
    late = psycopg.connect(source.url_for("late_writer"), autocommit=True)
    late.execute("set default_transaction_read_only to off")

    def write() -> None:
        while not stop.is_set():
            late.execute("update ledger.account set balance = balance where id = 1")

    writing = in_thread(write)
    try:
        ran = moved.cut_over("--spare", "late_writer").expect(TAKEN_BACK)
        assert ran.result["stopped_by"] == "late_write"
        assert "ledger.account" in ran.result["message"]
    finally:
        stop.set()
        writing.join()
        late.close()
        source.run("drop owned by late_writer", "drop role late_writer")
    moved.check()
    moved.cut_over().expect(DONE)
    moved.check()


def test_blockers_are_named_all_at_once_and_stop_nobody(moved: Moving) -> None:
    source = moved.pair.source
    old = source.connect(application_name="report")
    old.execute("begin")
    old.execute("select 1")
    source.run("begin; create table ledger.late (id int); prepare transaction 'of_billing'")
    try:
        ran = moved.cut_over("--max-freeze", "10ms", "--max-lag", "1ms").expect(REFUSED)
        objects = [one["object"] for one in ran.result["problems"]]
        assert "prepared transaction of_billing" in objects and "lag" in objects
        assert f"session {old.info.backend_pid} on the source" in objects
        assert moved.ledger.clients[0].refused == 0
    finally:
        source.run("rollback prepared 'of_billing'")


def test_without_a_process_that_follows_it_is_refused(moved: Moving) -> None:
    moved.follower.kill()
    moved.follower.wait()
    ran = moved.cut_over().expect(REFUSED)
    assert "no process follows" in str(ran.result["problems"])
    moved.check()


def test_a_stray_write_on_the_target_blocks(moved: Moving) -> None:
    moved.cut_over("--rehearse").expect(DONE)
    moved.pair.target.run("insert into ledger.account values (1000, 0)")

    def is_refused() -> bool:
        ran = moved.cut_over("--rehearse")
        return "others have written to it" in str(ran.result.get("problems"))

    until(is_refused, "a stray write that is found")


@pytest.mark.parametrize("fence", ["lock", "none"])
def test_other_fences(moved: Moving, fence: str) -> None:
    if fence == "none":
        moved.ledger.stop()
    moved.cut_over("--fence", fence).expect(DONE)
    assert phase(moved.pair) == "switched"
    assert faults(moved.pair.target.url, moved.folder) == []


def test_other_databases_are_refused(moved: Moving) -> None:
    turned = Pair(moved.pair.target, moved.pair.target)
    ran = windlass(*moved.words, pair=turned).expect(REFUSED)
    assert "another database" in str(ran.result["problems"])


def test_ctrl_c_in_the_freeze_takes_it_back(moved: Moving) -> None:
    with moved.follower_stopped():
        process = start(*moved.words, *WIDE, "--no-reverse", pair=moved.pair)
        until(lambda: phase(moved.pair) == "freezing", "the freeze")
        process.send_signal(signal.SIGINT)
        ran = finish(process)
    assert ran.expect(TAKEN_BACK).result["stopped_by"] == "interrupted"
    assert ran.result["hint"] == "run the same command again"
    moved.check()
