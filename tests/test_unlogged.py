"""Relations that are filled unlogged arrive logged, whole, and after any crash."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import psycopg
import pytest

from command import DONE, finish, migrate, start, windlass
from oracle import content_difference, schema_difference
from servers import FAST, Database, Pair, Server

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
WORDS = ("--chunk-size", "8MB", "--chunk-by", "ctid", "--jobs", "2")
SECONDS = 60.0


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
    query = "select count(*) from windlass.line where step = 'transfer_partition'"
    while time.monotonic() < deadline:
        try:
            if target.value(query) >= count:
                return
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            pass
        time.sleep(0.01)
    raise AssertionError(f"not {count} chunks in {SECONDS} s")
