"""Processes and servers die at moments that nobody chose, forth and back: nothing acknowledged is
lost, nothing is doubled."""

from __future__ import annotations

import logging
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
from cutovers import FOLLOW, TAKEN_BACK, WIDE, Moving, moving, phase, until_same, variables
from killing import is_killed, kill
from servers import LAZY, Database, Pair, Server
from windlass.demo.ledger import faults, make_ledger, writing

log = logging.getLogger(__name__)
FREEZING = "windlass.following.freezing"
ROUNDS = 8  # of each seed; a cutover is killed at least once in each, a process that follows twice
# How many a freeze has at least until it is decided, and as it opens the other side.
UNDECIDED_STATEMENTS, OPENING_STATEMENTS = 22, 6
CAUGHT_UP = "select item from windlass.line where step = 'catch_up' order by 1 desc"
KEYS = (
    "select count(*) from pg_constraint where contype = 'f' and convalidated"
    " and connamespace = 'ledger'::regnamespace"
)
EARLY = "select md5(string_agg(e::text, ',' order by id)) from ledger.early e"
READ_IN = (
    "select distinct max(snapshot) from windlass.line where step in ('copy_chunks', 'copy_tables')"
    " group by relation"
)
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
    kills = {"freeze": 0, "decided": 0, "anywhere": 0, "follower": 0}
    for number in range(ROUNDS):
        words = ["--back"] * (number % 2)
        _kill_in_the_freeze(moved, words, chosen)
        kills["freeze"] += 1
        if chosen.random() < 0.5:
            kills["decided"] += _kill_once_decided(moved, words, chosen)
        else:
            kills["anywhere"] += _kill_at_any_moment(moved, words, chosen)
        _kill_the_follower(moved, chosen)
        kills["follower"] += 2
        _until_cut_over(moved, words)
        moved.check()
    log.info("seed=%s kills=%s", seed, kills)
    moved.ledger.stop()
    until_same(moved.pair)
    assert faults(moved.open_now.url, moved.folder) == []


def _kill_in_the_freeze(moved: Moving, words: list[str], chosen: random.Random) -> None:
    """At any of its statements: just before it, or once the server has executed it. As it counts
    them itself, it is certain to be hit."""
    kind, number = chosen.choice(["statement", "answer"]), chosen.randint(1, UNDECIDED_STATEMENTS)
    kill(f"{kind} {number} since {FREEZING}.begin", *_cutover(moved, words))


def _kill_once_decided(moved: Moving, words: list[str], chosen: random.Random) -> bool:
    """As it opens the other side; whether it was hit, as it may be taken back before."""
    kind, number = chosen.choice(["statement", "answer"]), chosen.randint(1, OPENING_STATEMENTS)
    return is_killed(f"{kind} {number} since {FREEZING}.open_side", *_cutover(moved, words))


def _cutover(moved: Moving, words: list[str]) -> tuple[list[str], dict[str, str]]:
    return [*moved.words, *WIDE, *words], variables(moved.pair)


def _kill_at_any_moment(moved: Moving, words: list[str], chosen: random.Random) -> bool:
    """Wherever it is then; whether it had not ended before."""
    process = start(*moved.words, *WIDE, *words, pair=moved.pair)
    is_hit = not process.wait(chosen.uniform(0.1, 3.0))
    process.kill()
    process.wait()
    return is_hit


def _kill_the_follower(moved: Moving, chosen: random.Random) -> None:
    """And the one that comes after it, before or after a commit: each moves the position."""
    moved.follower.kill()
    moved.follower.wait()
    method = chosen.choice(["begin", "commit"])
    place = f"call windlass.following.position:Position.{method} {chosen.randint(1, 20)}"
    kill(place, FOLLOW, variables(moved.pair))
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


def _phase(pair: Pair) -> str:
    """Whose session a fence may end."""
    while True:
        with suppress(psycopg.OperationalError):
            return phase(pair)


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


def _copied(pair: Pair, relation: str = "ledger.%") -> int:
    """How many chunks."""
    with suppress(psycopg.Error):
        query = "select count(*) from windlass.line where step = 'copy_chunks' and relation like %s"
        return int(pair.target.value(query, (relation,)))
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
    """A table that was copied whole before its snapshot died keeps its rows, and gets what was
    written since from the stream; what was copied in part, and written to since, is copied again.
    """
    pair = Pair(logical(16), logical(18))
    make_ledger(pair.source.url, 100_000)
    # larger than the ledger's tables, so it is copied first
    pair.source.run(
        "create table ledger.early (id bigint primary key, n bigint, filler text)",
        "insert into ledger.early select i, 0, repeat('x', 200) from generate_series(1, 40000) i",
    )
    with writing(tmp_path, lambda: pair.source.url, clients=3, pause_seconds=0.03) as ledger:
        for wanted in (1, 4):
            _kill_after_chunks(pair, "ledger.early", wanted)
        _kill_after_chunks(pair, "ledger.entry", 2)
        pair.source.run(
            "update ledger.early set n = n + 1 where id % 7 = 0",
            "delete from ledger.early where id % 100 = 1",
            "insert into ledger.early values (50000, 1, 'late')",
        )
        kill("call windlass.flows.follow.steps.pursue_until", SMALL_CHUNKS, variables(pair))
        assert pair.target.rows(CAUGHT_UP) == [("begun",)], "changes are caught up with"
        assert pair.target.value(KEYS) == 0, "before foreign keys are made"
        process = start(*SMALL_CHUNKS, pair=pair)
        try:
            until(lambda: phase(pair) == "following" or process.poll() is not None, "following")
            assert process.poll() is None, process.said()
            ledger.stop()
            until_same(pair)
            until(lambda: pair.source.value(EARLY) == pair.target.value(EARLY), "equal tables")
        finally:
            process.kill()
            process.wait()
    assert len(pair.target.rows(READ_IN)) > 1, "tables were read in several snapshots"
    assert len(pair.target.rows(CAUGHT_UP)) == 2 and pair.target.value(KEYS) > 0
    assert faults(pair.target.url, tmp_path) == []


def _kill_after_chunks(pair: Pair, relation: str, count: int) -> None:
    process = start(*SMALL_CHUNKS, pair=pair)
    until(lambda: _copied(pair, relation) >= count or process.poll() is not None, "some chunks")
    process.kill()
    process.wait()
