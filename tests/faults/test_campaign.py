"""A campaign of kills: whatever is disturbed, in whatever way of migrating, the same command ends
it, and what is on the target then is judged without windlass.

Every round has its own seed, the same for one commit: `TESTS_SEED` gives another campaign.
The target forgets what was not flushed when its power is cut.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from command import DONE, INTERRUPTED, REFUSED, STOPPED, Ran, Running, finish, start
from oracle import content_difference, contents, half_made, schema_difference, schema_dump
from paths import CORPUS
from sampling import choose_seed
from servers import FAST, LAZY, Database, Pair, Server
from windlass.flows.migrate.outline import MIGRATE

log = logging.getLogger(__name__)  # shown with what fails
SEED = choose_seed()
SAMPLED, ALL = 8, 64
REPAIR = ("verify", "--repair", "--yes", "--json")
CLEAN = ("clean", "--yes", "--json")
WORDS = ("--json", "--chunk-size", "64kB", "--chunk-by", "ctid", "--jobs", "2")
WAYS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "not verified": ("--verify", "none"),
    "unlogged": ("--unlogged", "always"),
    "replace": ("--existing", "replace"),
    "fill": ("--existing", "fill"),
    "repair": (),
    "clean": ("--existing", "replace"),
    "repoint": ("--existing", "replace"),
}
IN_THE_WAY = (
    "create schema shop",
    "create table shop.big (id serial primary key, own text)",
    "insert into shop.big (own) values ('before'), ('before too')",
    "create table shop.keyless (b int)",
    "insert into shop.keyless values (7)",
)
REFERRING = (  # to what is set aside, and of no part of the migration
    "create schema own",
    "create table own.stays (id serial primary key, big int references shop.big)",
    "insert into own.stays (big) values (1), (2), (null)",
    "analyze own.stays",
    "create view own.seen as select id from shop.big",
    "create function own.first() returns int language sql stable"
    " begin atomic select min(id) from shop.big; end",
)
REFERRED = """
    select (select count(*) from own.seen), own.first(),
           (select confrelid = 'shop.big'::regclass and convalidated from pg_constraint
             where conrelid = 'own.stays'::regclass and contype = 'f')
"""
SPOILED = (
    "update shop.big set note = 'mine' where id % 500 = 0",
    "delete from shop.big where id % 700 = 1",
    "insert into shop.big select n, 'only here' from generate_series(30001, 30040) n",
    "insert into shop.keyless values (777, 'only here')",
    "delete from shop.keyless where a = 3",
    "update shop.days set id = id + 100000 where id < 5",
    "select setval('shop.counter', 9)",
    "select lo_unlink(900003), lo_put(900004, 0, 'mine')",
)
UNLOGGED = '"(parent|child|child_id_seq)"'  # a crash empties them, whoever has filled them
STEPS = tuple(step.name for step in MIGRATE.steps)
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
            timed(made, pair, *REPAIR).expect(DONE)
            timed(made, pair, "rollback", run, "--yes", "--json").expect(DONE)
            timed(made, pair, *CLEAN).expect(DONE)
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


def is_running_at(process: Running, rng: random.Random, seconds: float, step: str) -> bool:
    """Wait for a moment: as long as a part of what it takes, or until a step has begun."""
    if not step:
        return not process.wait(rng.uniform(0.05, 0.9) * seconds)
    begun = f"step={step} state=started"
    while process.poll() is None and begun not in process.said()[1]:
        time.sleep(0.002)
    return not process.wait(rng.uniform(0, 0.1))


def disturbed(
    field: Field, pair: Pair, rng: random.Random, *words: str, steps: Sequence[str] = ("",)
) -> Ran:
    """The same command until it is done, its first three times disturbed: in one of the steps, or
    at any time."""
    ran = None
    for attempt in range(9):
        assert pair.target.server.wait_ready()
        if attempt >= 3:
            ran = timed(field, pair, *words)
        else:
            process = start(*words, pair=pair)
            name, kill = rng.choice(list(KILLS.items()))
            step = rng.choice(steps)
            if is_running_at(process, rng, field.seconds[words[0]], step):
                log.warning("%s attempt=%d step=%s kill=%s", words[0], attempt, step, name)
                kill(process, pair, rng)
            ran = finish(process, SECONDS)
        if ran.code == DONE or is_undone(pair, words):
            return ran
        assert ran.code in (STOPPED, REFUSED, INTERRUPTED, -signal.SIGKILL, -signal.SIGTERM), (
            ran.why
        )
        if ran.code == REFUSED and all(map(is_emptied, ran.result["problems"])):
            words = (*words, "--force")
            continue
        if ran.code == REFUSED:  # a server that is starting, or a pg_dump that was killed
            assert all(
                one["object"] in ("source", "target", "windlass") for one in ran.result["problems"]
            ), ran.why
    raise AssertionError(f"nine commands did not end it: {ran and ran.why}")


def is_emptied(problem: Mapping[str, str]) -> bool:
    """Whether it is about an unlogged relation, which a crash has emptied since the run ended."""
    return bool(re.search(r"\.(parent|child|child_id_seq)$", problem["object"]))


def is_undone(pair: Pair, words: tuple[str, ...]) -> bool:
    """A rollback that was killed after its end."""
    state = "select state from windlass.run where run = %s"
    return words[0] == "rollback" and pair.target.rows(state, [words[1]]) == [("rolled back",)]


def state_of(database: Database) -> object:
    return schema_dump(database), contents(database)


def newest(pair: Pair) -> str:
    run: str = pair.target.value(
        "select run from windlass.run where state <> 'rolled back' order by started_at desc limit 1"
    )
    return run


def undo(field: Field, pair: Pair, rng: random.Random) -> None:
    disturbed(field, pair, rng, "rollback", newest(pair), "--yes", "--json")


def repair_and_undo(field: Field, pair: Pair, rng: random.Random) -> None:
    pair.target.run(*SPOILED, "checkpoint")
    spoiled = contents(pair.target)
    disturbed(field, pair, rng, *REPAIR)
    assert content_difference(pair.source, pair.target) == []
    undo(field, pair, rng)
    there = contents(pair.target)
    assert {name for name in there if there[name] != spoiled[name]} <= {
        name for name in spoiled if re.search(UNLOGGED, name)
    }
    assert schema_difference(pair.source, pair.target) == []


def clean(field: Field, pair: Pair, rng: random.Random) -> None:
    disturbed(field, pair, rng, *CLEAN)
    assert pair.target.value("select count(*) from pg_namespace where nspname ~ '^windlass_2'") == 0
    assert pair.target.value("select count(*) from windlass.run") == 0
    assert content_difference(pair.source, pair.target, UNLOGGED) == []
    assert schema_difference(pair.source, pair.target) == []


AFTERWARDS = {"repair": repair_and_undo, "clean": clean}
BEFORE = {
    "replace": IN_THE_WAY,
    "clean": IN_THE_WAY,
    "fill": TO_FILL,
    "repoint": (*IN_THE_WAY, *REFERRING),
}


def fight(field: Field, number: int) -> None:
    """One round: a migration, and what comes after it, disturbed as well: the way back in half of
    them, a repair and its way back, or the removal of what was set aside."""
    rng = random.Random(f"{SEED} {number}")
    way = list(WAYS)[number % len(WAYS)]
    log.warning("TESTS_SEED=%s round=%d way=%s", SEED, number, way)
    pair = Pair(field.source, field.target.create_database())
    pair.target.run(*BEFORE.get(way, ()))
    pair.target.run("checkpoint")  # else a crash lets a sequence skip values (SEQ_LOG_VALS)
    before = state_of(pair.target)
    if way in AFTERWARDS:
        timed(field, pair, "migrate", *WORDS, *WAYS[way]).expect(DONE)
    else:
        steps = ("", "repoint_dependents") if way == "repoint" else ("", "", *STEPS)
        disturbed(field, pair, rng, "migrate", *WORDS, *WAYS[way], steps=steps)
    assert content_difference(pair.source, pair.target, '"own"') == []
    if way != "fill":  # what was there keeps its definition
        assert schema_difference(pair.source, pair.target, "--exclude-schema=own") == []
    if way == "repoint":
        assert pair.target.rows(REFERRED) == [(20_000, 1, True)]
    assert half_made(pair.target) == []
    if way in AFTERWARDS:
        AFTERWARDS[way](field, pair, rng)
    elif way in ("replace", "repoint") or rng.random() < 0.3:
        undo(field, pair, rng)
        assert state_of(pair.target) == before
    field.target.drop_database(pair.target)


@pytest.mark.parametrize("number", range(SAMPLED))
def test_a_round_of_kills_ends_equal(field: Field, number: int) -> None:
    fight(field, number)


@pytest.mark.full
@pytest.mark.parametrize("number", range(SAMPLED, ALL))
def test_a_round_of_many_ends_equal(field: Field, number: int) -> None:
    fight(field, number)
