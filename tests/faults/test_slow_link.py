"""Many small relations over a slow link: few round trips, several streams, and every row exactly
once whichever stream breaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from command import DONE, STOPPED, finish, start
from oracle import content_difference
from proxy import Proxy
from servers import PASSWORD, Pair
from windlass.engines.postgres.link import SLOW_SECONDS, streams_for
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.postgres.transaction import begun, run_saved

RELATIONS = 60
WORDS = ("migrate", "--json", "--jobs", "2", "--verify", "none")
ONE_BY_ONE = RELATIONS * 3  # round trips of the target's where every COPY waits for the one before


@dataclass
class Linked:
    """A pair whose both sides are reached through a proxy, and only by windlass."""

    pair: Pair
    source: Proxy
    target: Proxy

    def slow_down(self) -> None:
        self.source.delay_seconds = self.target.delay_seconds = 2 * SLOW_SECONDS

    @property
    def variables(self) -> dict[str, str]:
        return {
            "WINDLASS_SOURCE": self.pair.source.url_for(port=self.source.port),
            "WINDLASS_TARGET": self.pair.target.url_for(port=self.target.port),
        }


@pytest.fixture
def linked(pair: Pair) -> Iterator[Linked]:
    for at in range(RELATIONS):
        pair.source.run(
            f"create table t{at} (id int primary key, note text);"
            f" insert into t{at} select i, 'note ' || i from generate_series(1, 100) i"
        )
    with ExitStack() as stack:
        source = stack.enter_context(Proxy(pair.source.server.port))
        target = stack.enter_context(Proxy(pair.target.server.port))
        yield Linked(pair, source, target)


def test_a_slow_link_is_shared_by_several_streams(linked: Linked) -> None:
    linked.slow_down()
    finish(start(*WORDS, env=linked.variables)).expect(DONE)
    assert content_difference(linked.pair.source, linked.pair.target) == []
    assert linked.target.most_links >= 8


@pytest.mark.parametrize("pair", [(15, 15)], indirect=True)
def test_over_a_slow_link_a_pg_dump_reads_that_locks_many_tables_at_once(linked: Linked) -> None:
    words = ("plan", "--json")
    assert finish(start(*words, env=linked.variables)).expect(DONE).result["pg_dump"] < "16"
    before = linked.source.round_trips
    linked.slow_down()
    found = finish(start(*words, env=linked.variables)).expect(DONE).result["pg_dump"]
    assert found >= "16"
    assert linked.source.round_trips - before < ONE_BY_ONE


def test_a_stream_that_the_target_ends_costs_no_row_and_doubles_none(linked: Linked) -> None:
    """The others of its load have committed, are committing, or are rolled back."""
    linked.slow_down()
    process = start(*WORDS, env=linked.variables)
    ended = 0
    while process.poll() is None and ended < 5:
        # one at a time, so that the session which holds the lock lives
        ended += linked.pair.target.value(
            "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity"
            " where datname = current_database() and query like any"
            " (array['COPY%', 'insert into windlass.line%'])"
            " order by random() limit 1) one"
        )
        time.sleep(0.05)
    ran = finish(process)
    assert ended, "no stream was there to be ended"
    while ran.code == STOPPED:
        ran = finish(start(*WORDS, env=linked.variables))
    ran.expect(DONE)
    assert content_difference(linked.pair.source, linked.pair.target) == []


def test_a_target_with_few_connections_is_copied_into_with_those(linked: Linked) -> None:
    database = linked.pair.target
    database.server.admin.run(
        "drop role if exists few_sessions",
        f"create role few_sessions login password '{PASSWORD}' connection limit 7",
    )
    database.run(f'alter database "{database.name}" owner to few_sessions')
    linked.slow_down()
    variables = linked.variables
    variables["WINDLASS_TARGET"] = database.url_for(port=linked.target.port, user="few_sessions")
    finish(start(*WORDS, env=variables)).expect(DONE)
    assert content_difference(linked.pair.source, linked.pair.target) == []


@pytest.mark.parametrize(
    ("seconds", "workers", "streams"),
    [(0.0002, 2, 1), (0.01, 2, 8), (0.1, 2, 8), (0.1, 16, 1), (0.1, 64, 1), (0.005, 1, 4)],
)
def test_streams_are_for_slow_links_and_bounded(seconds: float, workers: int, streams: int) -> None:
    assert streams_for(seconds, workers) == streams


@pytest.fixture
def asking(pair: Pair) -> Iterator[tuple[Connection, Proxy]]:
    with (
        Proxy(pair.target.server.port) as proxy,
        Address.parse("target", pair.target.url_for(port=proxy.port)).connect(
            Role.TARGET, "test"
        ) as connection,
    ):
        yield connection, proxy


def test_what_is_journalled_takes_three_round_trips(asking: tuple[Connection, Proxy]) -> None:
    connection, proxy = asking
    connection.execute("create table public.line (item text)")
    before = proxy.round_trips
    with begun(connection, "select 1", "insert into public.line values ('a')") as transaction:
        assert transaction.answers == [(1,), None]
        run_saved(connection, "create table public.a ();\ncreate table public.b ();\n")
        transaction.last.append("update public.line set item = 'b'")
    assert proxy.round_trips - before == 3
    assert connection.execute("select item from public.line").fetchall() == [("b",)]


def test_a_failure_leaves_nothing_of_its_transaction(asking: tuple[Connection, Proxy]) -> None:
    connection, _ = asking
    with pytest.raises(ZeroDivisionError), begun(connection, "create table public.a ()"):
        raise ZeroDivisionError
    assert connection.execute("select to_regclass('public.a')").fetchone() == (None,)
