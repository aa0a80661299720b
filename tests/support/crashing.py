"""A run whose target crashes at a chosen step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from awaiting import until
from command import Running, start
from servers import FAST, LAZY, Database, Pair, Server

WORDS = ("--chunk-size", "8MB", "--chunk-by", "ctid", "--jobs", "2")
SECONDS = 60.0


# What the source has unlogged stays so: a crash of the target empties it at any moment of a run.

OWN = (
    "create schema s",
    "create unlogged table s.parent (id int primary key, note text)",
    "insert into s.parent select n, repeat('p', 400) from generate_series(1, 9000) n",
    "create unlogged table s.child (id serial primary key, parent int not null references s.parent,"
    " changes int not null default 0)",
    "insert into s.child (parent) select 1 + n % 9000 from generate_series(1, 3000) n",
    "create function s.count() returns trigger language plpgsql as"
    " $$begin new.changes := new.changes + 1; return new; end$$",
    "create trigger counting before insert on s.child for each row execute function s.count()",
    "create table s.small (id int primary key)",
    "insert into s.small select generate_series(1, 100)",
    "create table s.big (id int primary key, note text)",
    "insert into s.big select n, repeat(md5(n::text), 4) from generate_series(1, 60000) n",
    "create function s.wait() returns int language sql as"
    " $$select 1 from pg_catalog.pg_advisory_lock_shared(4711)$$",
    "analyze",
)
WAITING = "select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
GATE = (
    "create materialized view s.gate as select s.wait() as n",
    "select pg_advisory_unlock_all()",
)


@pytest.fixture
def crashing(own_server: Callable[..., Server], pair: Pair) -> Pair:
    """Its target forgets what was not flushed, and nothing is flushed by itself."""
    for statement in OWN:
        pair.source.run(statement)
    return Pair(pair.source, own_server(18, {**FAST, **LAZY}).create_database())


def stopped_at_gate(
    pair: Pair, *words: str, env: Mapping[str, str] | None = None
) -> tuple[Running, psycopg.Connection[Any]]:
    """A run that has done everything but to refresh a view, for which it waits."""
    pair.source.run(*GATE)
    gate = pair.target.connect()
    gate.execute("select pg_advisory_lock(4711)")
    process = start("migrate", "--json", *WORDS, *words, pair=pair, env=env)
    wait_until(pair.target, f"select exists ({WAITING})")
    return process, gate


def wait_until(target: Database, query: str) -> None:
    def is_so() -> object:
        with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return target.value(query)
        return False

    until(is_so, query, SECONDS)
