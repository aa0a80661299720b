"""Relations that are filled unlogged arrive logged, whole, and after any crash."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from command import DONE, STOPPED, finish, migrate, start, windlass
from crashing import OWN, SECONDS, WAITING, WORDS, crashing, stopped_at_gate, wait_until
from oracle import content_difference, schema_difference
from servers import FAST, Database, Pair, Server

__all__ = ["crashing"]  # fixtures

WIDE = (
    "create schema s",
    "create table s.wide (id bigint primary key, note text not null)",
    "insert into s.wide select n, repeat(md5(n::text), 4) from generate_series(1, 300000) n",
    "create unlogged table s.cache (id int primary key)",
    "insert into s.cache select generate_series(1, 100)",
    "create table s.part (id int) partition by range (id)",
    "create table s.part_1 partition of s.part for values from (0) to (100000)",
    "insert into s.part select generate_series(1, 50000)",
    "analyze",
)


def persistence(database: Database) -> dict[str, str]:
    query = (
        "select relname, relpersistence::text from pg_class where relnamespace = 's'::regnamespace"
        " and relkind in ('r', 'p') order by 1"
    )
    return dict(database.rows(query))


AS_ON_THE_SOURCE = {"cache": "u", "part": "p", "part_1": "p", "wide": "p"}


def expect_equal(pair: Pair) -> None:
    assert persistence(pair.target) == AS_ON_THE_SOURCE
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def is_planned(pair: Pair, *words: str) -> bool:
    return "SET UNLOGGED" in windlass("plan", *WORDS, *words, pair=pair).expect(DONE).stdout


def test_what_was_filled_unlogged_is_logged_in_the_end(pair: Pair) -> None:
    pair.source.run(*WIDE)
    migrate(pair, *WORDS, "--unlogged", "always").expect(DONE)
    expect_equal(pair)


def test_it_is_planned_only_where_it_helps(own_server: Callable[..., Server], pair: Pair) -> None:
    pair.source.run(*WIDE)
    assert not is_planned(pair)
    assert is_planned(pair, "--unlogged", "always")
    little = own_server(18, {**FAST, "wal_level": "minimal", "max_wal_senders": "0"})
    target = Pair(pair.source, little.create_database())
    assert is_planned(target)
    assert not is_planned(target, "--unlogged", "never")
    migrate(target, *WORDS).expect(DONE)
    expect_equal(target)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT])
def test_a_crash_that_empties_them_is_noticed(
    own_server: Callable[..., Server], pair: Pair, how: signal.Signals
) -> None:
    pair.source.run(*WIDE)
    own = own_server(18)
    crashing = Pair(pair.source, own.create_database())
    process = start("migrate", "--json", *WORDS, "--unlogged", "always", pair=crashing)
    wait_for_chunks(crashing.target, 2)
    own.restart(how)
    ran = finish(process)
    if ran.code != DONE:
        ran = migrate(crashing, *WORDS, "--unlogged", "always").expect(DONE)
    expect_equal(crashing)


def test_a_rollback_of_a_half_filled_run_leaves_nothing(pair: Pair) -> None:
    pair.source.run(*WIDE)
    process = start("migrate", *WORDS, "--unlogged", "always", pair=pair)
    wait_for_chunks(pair.target, 2)
    process.kill()
    finish(process)
    run = pair.target.value("select run from windlass.run")
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert pair.target.value("select to_regnamespace('s')") is None


def wait_for_chunks(target: Database, count: int) -> None:
    deadline = time.monotonic() + SECONDS
    query = "select count(*) from windlass.line where step = 'copy_chunks'"
    while time.monotonic() < deadline:
        try:
            if target.value(query) >= count:
                return
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            pass
        time.sleep(0.01)
    raise AssertionError(f"not {count} chunks in {SECONDS} s")


@pytest.mark.parametrize("windlass_dies", [False, True])
def test_rows_of_unlogged_relations_survive_a_crash_at_the_end_of_a_run(
    crashing: Pair, windlass_dies: bool
) -> None:
    process, gate = stopped_at_gate(crashing, "--verify", "none")
    crashing.target.run("checkpoint")
    if windlass_dies:
        process.kill()
        process.wait()
    crashing.target.server.restart(signal.SIGKILL)
    gate.close()
    if not windlass_dies:
        ran = finish(process)
    if windlass_dies or ran.code == STOPPED:
        ran = migrate(crashing, *WORDS, "--verify", "none")
    ran.expect(DONE)
    assert content_difference(crashing.source, crashing.target) == []
    assert schema_difference(crashing.source, crashing.target) == []
    assert "s.child" in str(ran.result["notices"])


def test_rows_of_unlogged_relations_survive_a_crash_during_the_copy(crashing: Pair) -> None:
    process = start("migrate", "--json", *WORDS, "--jobs", "1", pair=crashing)
    wait_until(
        crashing.target,
        "select exists (select from windlass.line where relation in ('s.child', 's.parent'))",
    )
    crashing.target.run("checkpoint")
    process.kill()
    process.wait()
    crashing.target.server.restart(signal.SIGKILL)
    migrate(crashing, *WORDS).expect(DONE)
    assert content_difference(crashing.source, crashing.target) == []


def test_what_will_be_unlogged_is_noted_in_plan_and_result(pair: Pair) -> None:
    for statement in OWN:
        pair.source.run(statement)
    planned = windlass("plan", pair=pair).expect(DONE).stdout
    assert "s.child, s.parent" in planned and "unlogged" in planned
    done = migrate(pair).expect(DONE).result
    (notice,) = [one for one in done["notices"] if "unlogged" in one]
    assert "s.child, s.parent" in notice and "s.small" not in notice


# lets the journal's own statements through, and holds what comes after the run's line is in
AFTER_ITS_LINE = (
    "create function public.hold() returns event_trigger language plpgsql as"
    " $$begin if to_regclass('windlass.run') is not null then"
    " if exists (select from windlass.run) then"
    " perform pg_advisory_lock_shared(4711); end if; end if; end$$",
    "create event trigger holding on ddl_command_start execute function public.hold()",
)


def test_a_run_whose_tables_are_not_there_after_a_crash_is_resumed(crashing: Pair) -> None:
    """The run's line is on disk, the commit that makes the tables is not."""
    target, words = crashing.target, (*WORDS, "--unlogged", "always")
    target.run(*AFTER_ITS_LINE)
    with closing(target.connect()) as gate:
        gate.execute("select pg_advisory_lock(4711)")
        process = start("migrate", "--json", *words, pair=crashing)
        wait_until(target, f"select exists ({WAITING})")
        process.kill()
        process.wait()
        target.run("checkpoint")
        target.server.restart(signal.SIGKILL)
    assert target.value("select count(*) from windlass.run") == 1
    assert target.value("select to_regclass('s.big')") is None
    target.run("drop event trigger holding", "drop function public.hold()")
    migrate(crashing, *words).expect(DONE)
    assert content_difference(crashing.source, target) == []
    assert schema_difference(crashing.source, target) == []


def test_a_crash_while_changed_rows_are_taken_out_again_leaves_none_behind(crashing: Pair) -> None:
    """The second process has journalled its snapshot, and crashes before it has acted on it."""
    source, target = crashing.source, crashing.target
    words = ("--chunk-size", "64kB", "--chunk-by", "ctid", "--jobs", "1")
    process = start("migrate", "--json", *words, pair=crashing)
    chunks = "select count(*) >= 5 from windlass.line where relation = 's.big'"
    wait_until(target, chunks)
    process.kill()
    process.wait()
    source.run("update s.big set note = note")
    with closing(target.connect()) as gate:
        gate.execute("begin; lock table s.big")
        process = start("migrate", "--json", *words, pair=crashing)
        wait_until(target, "select exists (select from pg_locks where not granted)")
        target.run("checkpoint")
        target.server.restart(signal.SIGKILL)
    finish(process).expect(DONE)
    assert content_difference(source, target) == []
