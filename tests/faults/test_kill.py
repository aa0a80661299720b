"""Whatever is killed, whenever, however often: the same command resumes and ends equal.

The servers sync to disk here, and lose what a power cut would lose.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

import psycopg
import pytest

from awaiting import until
from command import DONE, REFUSED, STOPPED, Ran, Running, finish, kill_group, start
from oracle import content_difference, half_made, schema_difference
from paths import BUSY, CORPUS
from sampling import choose_seed
from servers import LAZY, Database, Pair, Server

WORDS = ("migrate", "--json", "--chunk-size", "64kB", "--jobs", "2", "--verify", "none")
SEED = choose_seed()
SYNCED = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@dataclass
class Move:
    """One source, moved again and again into new targets; what killing needs to know of it."""

    source: Server
    target: Server
    pair: Pair
    seconds: float = 0.0  # that an undisturbed move takes
    kills: int = 0
    arrivals: int = 0

    def renew(self) -> None:
        """The finished migration is checked, and the next one gets an empty target."""
        assert schema_difference(self.pair.source, self.pair.target) == []
        assert content_difference(self.pair.source, self.pair.target) == []
        assert half_made(self.pair.target) == []
        assert self.pair.target.value("select count(*) from pg_prepared_xacts") == 0
        self.arrivals += 1
        self.target.drop_database(self.pair.target)
        self.pair = Pair(self.pair.source, self.target.create_database())


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[Move]:
    """Servers for this module alone, a full source, and the time that a migration takes."""
    with ExitStack() as stack:
        source, target = Server(16, SYNCED), Server(18, {**SYNCED, **LAZY})
        for server in (source, target):
            stack.callback(server.remove)
            server.start().admin.load(CORPUS / "roles.sql")
        made = Move(source, target, Pair(source.create_database(), target.create_database()))
        made.pair.source.load(BUSY, scale=1)
        # a sequence that has moved since goes up to 32 ahead in a crash (SEQ_LOG_VALS, sequence.c)
        made.pair.source.run("checkpoint")
        began = time.monotonic()
        finish(start(*WORDS, pair=made.pair)).expect(DONE)
        made.seconds = time.monotonic() - began
        target.drop_database(made.pair.target)
        yield made


@pytest.fixture
def move(undisturbed: Move) -> Iterator[Move]:
    """An empty target to be moved into."""
    target = undisturbed.target.create_database()
    made = replace(undisturbed, pair=Pair(undisturbed.pair.source, target), arrivals=0)
    yield made
    for server in (made.source, made.target):
        if not server.wait_ready():
            server.restart()
    made.target.drop_database(made.pair.target)


Kill = Callable[[Running], object]


def disturb(move: Move, rng: random.Random, kill: Kill) -> Ran:
    """Start the move and kill at a random moment of it; then see how it ends."""
    began = time.monotonic()
    process = start(*WORDS, pair=move.pair)
    if process.wait(rng.uniform(0.1, 1.0) * move.seconds):
        # the machine has less to do than it had, and later moments would come too late as well
        move.seconds = min(move.seconds, time.monotonic() - began)
    else:
        kill(process)
        move.kills += 1
    return finish(process)


def go_on(move: Move, ran: Ran) -> None:
    """Say the same command again until it is done. Then nothing may be lacking.

    One refusal is no failure: a server that is still starting up.
    """
    for _ in range(5):
        assert move.pair.source.server.wait_ready()
        assert move.pair.target.server.wait_ready()
        if ran.code == DONE:
            move.renew()
            return
        assert ran.code in (STOPPED, REFUSED, -signal.SIGKILL), ran.why
        if ran.code == REFUSED:
            (problem,) = ran.result["problems"]
            assert problem["object"] in ("source", "target"), ran.why
        ran = finish(start(*WORDS, pair=move.pair))
    raise AssertionError(f"five more commands did not end the move: {ran.why}")


def test_windlass_killed_20_times_still_moves_every_row_once(move: Move) -> None:
    rng = random.Random(SEED)
    while move.kills < 20 or move.arrivals < 2:
        ran = disturb(move, rng, kill_group)
        if ran.code != -signal.SIGKILL:
            go_on(move, ran)


def test_killed_at_every_tenth_of_one_move_it_still_arrives(move: Move, in_full: bool) -> None:
    """The same move into the same target, killed a little later each time: at half of the tenths
    with each commit, in other places with the next."""
    tenths = range(1, 11)
    for tenth in tenths if in_full else sorted(random.Random(SEED).sample(tenths, 5)):
        process = start(*WORDS, pair=move.pair)
        time.sleep(0.2 + tenth / 10 * move.seconds / 4)
        kill_group(process)
        finish(process)
    go_on(move, finish(start(*WORDS, pair=move.pair)))


def kill_backend(database: Database, rng: random.Random) -> None:
    """SIGKILL to one of windlass's sessions: its server ends all others and recovers."""
    with suppress(psycopg.OperationalError):
        pids = database.rows(
            "select pid from pg_stat_activity where backend_type = 'client backend'"
            " and datname = current_database() and pid <> pg_backend_pid()"
        )
        if pids:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(pids)[0], signal.SIGKILL)
    assert database.server.wait_ready()


def terminate_backends(database: Database) -> None:
    """As an administrator would."""
    with suppress(psycopg.OperationalError):
        database.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize(
    ("side", "what"),
    [
        (side, what)
        for side in ("source", "target")
        for what in ("backend", "sessions", "immediate", "power")
    ],
)
def test_a_server_that_dies_under_a_move_changes_nothing(
    move: Move, side: str, what: str, in_full: bool
) -> None:
    rng = random.Random(f"{SEED} {side} {what}")

    def kill(_: Running) -> None:
        database: Database = getattr(move.pair, side)
        match what:
            case "backend":
                kill_backend(database, rng)
            case "sessions":
                terminate_backends(database)
            case "immediate":
                database.server.restart(signal.SIGQUIT)
            case "power":
                database.server.restart(signal.SIGKILL)

    for _ in range(3 if in_full else 1):
        go_on(move, disturb(move, rng, kill))


def has_written(target: Database) -> bool:
    """Whether a migration into it has finished some of its work, and journalled that."""
    there = target.value("select to_regclass('windlass.line') is not null")
    return bool(there and target.value("select exists (select from windlass.line)"))


def test_a_server_that_stays_away_stops_the_move_which_resumes_later(move: Move) -> None:
    process = start(*WORDS, pair=move.pair)
    until(lambda: has_written(move.pair.target), "the move has begun")
    move.target.stop(signal.SIGQUIT)
    ran = finish(process)
    ran.expect(STOPPED)
    assert ran.result["message"]
    move.target.restart()
    finish(start(*WORDS, pair=move.pair)).expect(DONE)
    move.renew()
