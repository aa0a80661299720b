"""Processes and servers die at moments that nobody chose, forth and back: nothing acknowledged is
lost, nothing is doubled."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from awaiting import until
from command import DONE, STOPPED, finish, start
from cutovers import FOLLOW, TAKEN_BACK, WIDE, Moving, moving, phase, until_same
from servers import LAZY, Database, Pair, Server
from windlass.demo.ledger import faults, make_ledger, writing

ROUNDS = 8  # of each seed; a cutover is killed once or twice in each, and the follower once
SMALL_CHUNKS = (*FOLLOW, "--chunk-size", "256kB")
# what clients commit is on disk; what is applied, as late as can be
CAREFUL = {"fsync": "off", "full_page_writes": "off", **LAZY}


@pytest.fixture
def moved(logical: Callable[[int], Database], tmp_path: Path) -> Iterator[Moving]:
    with moving(Pair(logical(16), logical(18)), tmp_path) as found:
        yield found


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Pair]:
    """On servers that may die."""
    with ExitStack() as stack:
        sides = []
        for version in (16, 18):
            server = Server(version, CAREFUL)
            stack.callback(server.remove)
            sides.append(server.start().create_database("shop"))
        yield Pair(*sides)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again_at_random_nothing_is_lost(moved: Moving, seed: int) -> None:
    chosen = random.Random(seed)
    kills = {"cutover": 0, "freeze": 0, "decided": 0, "follower": 0}
    for number in range(ROUNDS):
        words = ["--back"] * (number % 2)
        for _ in range(chosen.randint(1, 2)):
            _kill_a_cutover(moved, words, chosen, kills)
        _kill_the_follower(moved, chosen, kills)
        _until_cut_over(moved, words)
        moved.check()
    assert kills["freeze"] and kills["follower"] >= ROUNDS, kills
    moved.ledger.stop()
    until_same(moved.pair)
    assert faults(moved.open_now.url, moved.folder) == []


def _kill_a_cutover(
    moved: Moving, words: list[str], chosen: random.Random, kills: dict[str, int]
) -> None:
    """At any moment, or at any of its freeze."""
    process = start(*moved.words, *WIDE, *words, pair=moved.pair)
    if chosen.random() < 0.3:
        process.wait(chosen.uniform(0.1, 3.0))
    else:
        until(
            lambda: _phase(moved.pair).startswith("freezing") or process.poll() is not None,
            "the freeze",
        )
        time.sleep(chosen.uniform(0.0, 0.5))
    is_killed = process.poll() is None
    process.kill()
    process.wait()
    found = _phase(moved.pair)
    goal = "following" if words else "switched"
    where = "freeze" if "freezing" in found else "decided" if found == goal else "cutover"
    kills[where] += is_killed


def _phase(pair: Pair) -> str:
    """Whose session a fence may end."""
    while True:
        with suppress(psycopg.OperationalError):
            return phase(pair)


def _kill_the_follower(moved: Moving, chosen: random.Random, kills: dict[str, int]) -> None:
    """And perhaps the one that comes after it, as it begins."""
    moved.follower.kill()
    moved.follower.wait()
    kills["follower"] += 1
    if chosen.random() < 0.5:
        early = start(*FOLLOW, pair=moved.pair)
        early.wait(chosen.uniform(0.1, 2.0))
        kills["follower"] += early.poll() is None
        early.kill()
        early.wait()
    moved.follow_again()


def _until_cut_over(moved: Moving, words: list[str]) -> None:
    """What died before it was decided, the process that follows may have to catch up with."""
    ran = moved.cut_over(*words)
    if ran.code == TAKEN_BACK:
        ran = moved.cut_over(*words)
    ran.expect(DONE)


# servers


@pytest.mark.full
def test_both_servers_die_while_it_follows_in_the_freeze_and_after_it(
    own: Pair, tmp_path: Path
) -> None:
    with moving(own, tmp_path) as moved:
        _die(own)
        _resumed(moved)
        moved.check()
        for back in (False, True):
            words = ["--back"] * back
            process = start(*moved.words, *WIDE, *words, pair=own)
            until(lambda: _phase(own).startswith("freezing"), "the freeze")
            _die(own)
            ran = finish(process)
            assert ran.code in (DONE, STOPPED, TAKEN_BACK), ran.why
            _resumed(moved)
            moved.cut_over(*words).expect(DONE)
            moved.check()
            _die(own)
            _resumed(moved)
            moved.check()
        moved.ledger.stop()
        until_same(own)


def _die(pair: Pair) -> None:
    for one in (pair.source, pair.target):
        one.server.stop(signal.SIGQUIT)
    for one in (pair.source, pair.target):
        one.server.restart()


def _resumed(moved: Moving) -> None:
    """The process that follows has survived, or another one takes it up."""
    before = time.time()

    def reported() -> bool:
        if moved.follower.poll() is not None:
            finish(moved.follower).expect(STOPPED)
            moved.follower = start(*FOLLOW, pair=moved.pair)
        return moved.reported_at() > before

    until(reported, "a report")


@pytest.mark.full
def test_both_servers_die_during_the_copy(own: Pair) -> None:
    """The process resumes, or the same command does."""
    make_ledger(own.source.url, 200_000)
    process = start(*SMALL_CHUNKS, pair=own)
    try:
        until(lambda: _copied(own) > 1, "some chunks")
        assert _phase(own) == "copying"
        _die(own)
        until(lambda: _phase(own) == "following" or process.poll() is not None, "following")
        if process.poll() is not None:
            finish(process).expect(STOPPED)
            process = start(*SMALL_CHUNKS, pair=own)
            until(lambda: _phase(own) == "following" or process.poll() is not None, "following")
        until_same(own)
        assert process.poll() is None, process.said()
    finally:
        process.kill()
        process.wait()


def _copied(pair: Pair) -> int:
    """How many chunks."""
    with suppress(psycopg.Error):
        query = "select count(*) from windlass.line where step = 'copy_chunks'"
        return int(pair.target.value(query))
    return 0


@pytest.mark.full
def test_a_target_that_forgets_what_it_had_not_flushed_gets_it_again(
    own: Pair, tmp_path: Path
) -> None:
    with moving(own, tmp_path) as moved:
        for _ in range(6):
            moved.until_written(100)
            own.target.server.restart(signal.SIGKILL)
            _resumed(moved)
        moved.cut_over().expect(DONE)
        moved.check()
        for _ in range(3):
            moved.until_written(50)
            own.source.server.restart(signal.SIGKILL)
            _resumed(moved)
        moved.cut_over("--back").expect(DONE)
        moved.check()
        moved.ledger.stop()
        until_same(own)


# the copy, in more than one snapshot


def test_chunks_from_several_snapshots_under_writers_end_equal(
    logical: Callable[[int], Database], tmp_path: Path
) -> None:
    pair = Pair(logical(16), logical(18))
    make_ledger(pair.source.url, 100_000)
    with writing(tmp_path, lambda: pair.source.url, clients=3, pause_seconds=0.03) as ledger:
        for wanted in (1, 3, 5):
            _kill_after_chunks(pair, wanted)
        process = start(*SMALL_CHUNKS, pair=pair)
        try:
            until(lambda: phase(pair) == "following" or process.poll() is not None, "following")
            assert process.poll() is None, process.said()
            ledger.stop()
            until_same(pair)
        finally:
            process.kill()
            process.wait()
    assert pair.target.value("select count(distinct lsn) from windlass.snapshot") > 1
    assert faults(pair.target.url, tmp_path) == []


def _kill_after_chunks(pair: Pair, count: int) -> None:
    process = start(*SMALL_CHUNKS, pair=pair)
    until(lambda: _copied(pair) >= count or process.poll() is not None, "some chunks")
    process.kill()
    process.wait()
