"""A campaign of kills: whatever is disturbed, in whatever way of migrating, the same command ends
it, and what is on the target then is judged without windlass.

Every round has a seed of its own and is the same each time: `KILL_SEED` gives another campaign.
The target forgets what was not flushed when its power is cut.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from command import DONE, INTERRUPTED, REFUSED, STOPPED, Ran, Running, finish, start
from oracle import content_difference, contents, half_made, schema_difference, schema_dump
from servers import CORPUS, FAST, LAZY, Database, Pair, Server

log = logging.getLogger(__name__)  # shown with what fails
SEED = int(os.environ.get("KILL_SEED", "20"))
SAMPLED, ALL = 5, 60
WORDS = ("--json", "--chunk-size", "64kB", "--chunk-by", "ctid", "--jobs", "2")
WAYS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "not verified": ("--verify", "none"),
    "unlogged": ("--unlogged", "always"),
    "replace": ("--existing", "replace"),
    "fill": ("--existing", "fill"),
}
IN_THE_WAY = (
    "create schema shop",
    "create table shop.big (id serial primary key, own text)",
    "insert into shop.big (own) values ('before'), ('before too')",
    "create table shop.keyless (b int)",
    "insert into shop.keyless values (7)",
)
TO_FILL = (
    "create schema shop",
    "create table shop.big (id int primary key, note text not null, at timestamptz)",
    "create index on shop.big (at)",
    "create unlogged table shop.parent (id int primary key, note text)",
)
SECONDS = 90.0


@dataclass
class Field:
    """Where the campaign takes place, and how long undisturbed commands take there."""

    source: Database
    target: Server
    seconds: dict[str, float]  # by command; less where the machine has less to do than it had


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with ExitStack() as stack:
        source, target = Server(16, FAST), Server(18, {**FAST, **LAZY})
        for server in (source, target):
            stack.callback(server.remove)
            server.start().admin.load(CORPUS / "roles.sql")
        database = source.create_database()
        database.load(Path(__file__).parent / "campaign.sql")
        made = Field(database, target, {})
        pair = Pair(database, target.create_database())
        for _ in range(2):  # the first one loads what the others fork
            run = timed(made, pair, "migrate", *WORDS).expect(DONE).result["run"]
            timed(made, pair, "rollback", run, "--yes", "--json").expect(DONE)
        target.drop_database(pair.target)
        yield made


def timed(field: Field, pair: Pair, *words: str) -> Ran:
    began = time.monotonic()
    ran = finish(start(*words, pair=pair))
    took = time.monotonic() - began
    field.seconds[words[0]] = min(took, field.seconds.get(words[0], took))
    return ran


Kill = Callable[[Running, Pair, random.Random], None]


def kill_windlass(process: Running, _: Pair, __: random.Random) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def interrupt(process: Running, _: Pair, rng: random.Random) -> None:
    while not process.said()[1] and process.poll() is None:  # it heeds no signal yet
        time.sleep(0.005)
    with suppress(ProcessLookupError):
        os.kill(process.pid, rng.choice([signal.SIGINT, signal.SIGTERM]))


def halt(process: Running, _: Pair, rng: random.Random) -> None:
    """As a machine that is paused: the servers may give up on it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(rng.uniform(0.1, 1.0))
        os.killpg(process.pid, signal.SIGCONT)


def kill_pg_dump(process: Running, _: Pair, __: random.Random) -> None:
    """It is there while a migration is planned, and while definitions are compared."""
    while process.poll() is None:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                if child.name() == "pg_dump":
                    child.kill()
                    return
        time.sleep(0.005)


def cut_power(_: Running, pair: Pair, rng: random.Random) -> None:
    if rng.random() < 0.5:  # what is flushed until now survives, what comes after does not
        pair.target.run("checkpoint")
    pair.target.server.restart(signal.SIGKILL)


def crash_backend(_: Running, pair: Pair, rng: random.Random) -> None:
    with suppress(psycopg.OperationalError, ProcessLookupError):
        pids = pair.target.rows(
            "select pid from pg_stat_activity where backend_type = 'client backend'"
            " and datname = current_database() and pid <> pg_backend_pid()"
        )
        if pids:
            os.kill(rng.choice(pids)[0], signal.SIGKILL)
    assert pair.target.server.wait_ready()


def terminate(_: Running, pair: Pair, rng: random.Random) -> None:
    database = rng.choice([pair.source, pair.target])
    with suppress(psycopg.OperationalError):
        database.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


KILLS: dict[str, Kill] = {
    "power cut": cut_power,
    "kill -9": kill_windlass,
    "interrupt": interrupt,
    "halt": halt,
    "pg_dump": kill_pg_dump,
    "backend": crash_backend,
    "sessions": terminate,
}


def disturbed(field: Field, pair: Pair, rng: random.Random, *words: str) -> Ran:
    """The same command until it is done, its first three times disturbed."""
    ran = None
    for attempt in range(9):
        assert pair.target.server.wait_ready()
        if attempt >= 3:
            ran = timed(field, pair, *words)
        else:
            process = start(*words, pair=pair)
            name, kill = rng.choice(list(KILLS.items()))
            if not process.wait(rng.uniform(0.05, 0.9) * field.seconds[words[0]]):
                log.warning("%s attempt=%d kill=%s", words[0], attempt, name)
                kill(process, pair, rng)
            ran = finish(process, SECONDS)
        if ran.code == DONE or is_undone(pair, words):
            return ran
        assert ran.code in (STOPPED, REFUSED, INTERRUPTED, -signal.SIGKILL, -signal.SIGTERM), (
            ran.why
        )
        if ran.code == REFUSED:  # a server that is starting, or a pg_dump that was killed
            assert all(
                one["object"] in ("source", "target", "windlass") for one in ran.result["problems"]
            ), ran.why
    raise AssertionError(f"nine commands did not end it: {ran and ran.why}")


def is_undone(pair: Pair, words: tuple[str, ...]) -> bool:
    """A rollback that was killed after its end."""
    state = "select state from windlass.run where run = %s"
    return words[0] == "rollback" and pair.target.rows(state, [words[1]]) == [("rolled back",)]


def state_of(database: Database) -> object:
    return schema_dump(database), contents(database)


def fight(field: Field, number: int) -> None:
    """One round: a migration, and for half of them the way back, disturbed as well."""
    rng = random.Random(f"{SEED} {number}")
    way = list(WAYS)[number % len(WAYS)]
    log.warning("KILL_SEED=%d round=%d way=%s", SEED, number, way)
    pair = Pair(field.source, field.target.create_database())
    pair.target.run(*{"replace": IN_THE_WAY, "fill": TO_FILL}.get(way, ()))
    pair.target.run("checkpoint")  # else a crash lets a sequence skip values (SEQ_LOG_VALS)
    before = state_of(pair.target)
    disturbed(field, pair, rng, "migrate", *WORDS, *WAYS[way])
    assert content_difference(pair.source, pair.target) == []
    if way != "fill":  # what was there keeps its definition
        assert schema_difference(pair.source, pair.target) == []
    assert half_made(pair.target) == []
    if way == "replace" or rng.random() < 0.3:
        for (run,) in pair.target.rows(
            "select run from windlass.run where state <> 'rolled back' order by started_at desc"
        ):
            disturbed(field, pair, rng, "rollback", run, "--yes", "--json")
        assert state_of(pair.target) == before
    field.target.drop_database(pair.target)


@pytest.mark.parametrize("number", range(SAMPLED))
def test_a_round_of_kills_ends_equal(field: Field, number: int) -> None:
    fight(field, number)


@pytest.mark.full
@pytest.mark.parametrize("number", range(SAMPLED, ALL))
def test_a_round_of_many_ends_equal(field: Field, number: int) -> None:
    fight(field, number)
