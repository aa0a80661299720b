"""The wire between windlass and a server: cut, stalled, gone for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest

from command import DONE, STOPPED, Running, finish, start
from oracle import content_difference, schema_difference
from proxy import Proxy
from servers import Pair

WORDS = ("migrate", "--json", "--chunk-size", "128kB", "--jobs", "2")


@dataclass
class Wired:
    """A pair whose both sides are reached through a proxy, and only by windlass."""

    pair: Pair
    source: Proxy
    target: Proxy

    @property
    def variables(self) -> dict[str, str]:
        return {
            "WINDLASS_SOURCE": self.pair.source.url_for(port=self.source.port),
            "WINDLASS_TARGET": self.pair.target.url_for(port=self.target.port),
        }

    def assert_arrived(self) -> None:
        assert schema_difference(self.pair.source, self.pair.target) == []
        assert content_difference(self.pair.source, self.pair.target) == []


@pytest.fixture
def wired(busy: Pair) -> Iterator[Wired]:
    with ExitStack() as stack:
        source = stack.enter_context(Proxy(busy.source.server.port))
        target = stack.enter_context(Proxy(busy.target.server.port))
        yield Wired(busy, source, target)


def under_way(wired: Wired) -> Running:
    """A migration of which some megabytes have passed."""
    process = start(*WORDS, env=wired.variables)
    while process.poll() is None and wired.source.passed_bytes < 3 << 20:
        time.sleep(0.01)
    assert process.poll() is None, finish(process).why
    return process


def test_a_move_through_proxies_arrives(wired: Wired) -> None:
    finish(start(*WORDS, env=wired.variables)).expect(DONE)
    wired.assert_arrived()


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("megabytes", [0.05, 1, 5, 12])
def test_a_wire_cut_once_is_mended_without_a_word_from_the_user(
    wired: Wired, side: str, megabytes: float
) -> None:
    proxy: Proxy = getattr(wired, side)
    proxy.cut_after(int(megabytes * (1 << 20)))
    ran = finish(start(*WORDS, env=wired.variables))
    assert proxy.cuts == 1
    if ran.code == STOPPED:  # before the first row there is nothing to mend: it says so and stops
        assert megabytes < 1, ran.said[-3000:]
        ran = finish(start(*WORDS, env=wired.variables))
    ran.expect(DONE)
    wired.assert_arrived()


def test_a_snapshot_lost_with_its_wire_is_named(wired: Wired) -> None:
    wired.source.cut_after(8 << 20)
    done = finish(start(*WORDS, env=wired.variables)).expect(DONE).result
    assert wired.source.cuts == 1
    assert len(done["snapshots"]) == 2
    assert any(len(one["snapshots"]) == 2 for one in done["relations"])


def test_with_one_snapshot_a_cut_wire_stops_the_move(wired: Wired) -> None:
    wired.source.cut_after(8 << 20)
    finish(start(*WORDS, "--one-snapshot", env=wired.variables)).expect(STOPPED)


def test_wires_cut_again_and_again_are_mended(wired: Wired) -> None:
    process = start(*WORDS, env=wired.variables)
    while process.poll() is None:
        time.sleep(0.7)
        (wired.source if wired.source.cuts <= wired.target.cuts else wired.target).cut()
        if wired.source.cuts + wired.target.cuts >= 6:
            break
    ran = finish(process)
    while ran.code == STOPPED:
        ran = finish(start(*WORDS, env=wired.variables))
    ran.expect(DONE)
    wired.assert_arrived()


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_stalled_wire_is_waited_for(wired: Wired, side: str) -> None:
    process = under_way(wired)
    proxy: Proxy = getattr(wired, side)
    proxy.stall()
    time.sleep(4)
    proxy.flow()
    done = finish(process).expect(DONE).result
    assert len(done["snapshots"]) == 1
    wired.assert_arrived()


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_wire_that_stays_cut_stops_the_move_which_resumes_later(wired: Wired, side: str) -> None:
    process = under_way(wired)
    proxy: Proxy = getattr(wired, side)
    proxy.refuse()
    ran = finish(process).expect(STOPPED)
    assert side in ran.result["message"]
    proxy.accept()
    finish(start(*WORDS, env=wired.variables)).expect(DONE)
    wired.assert_arrived()


def test_a_pg_dump_that_is_hung_up_on_is_started_again(pair: Pair) -> None:
    pair.source.run("create table t (a int primary key)", "insert into t values (1)")
    waiting = (
        "select pid from pg_stat_activity where application_name = 'windlass pg_dump'"
        " and datname = current_database() and wait_event_type = 'Lock'"
    )
    with psycopg.connect(pair.source.url) as locking:
        locking.execute("lock table pg_init_privs")  # which pg_dump reads, and we do not
        process = start("migrate", "--json", pair=pair)
        while not (found := pair.source.rows(waiting)):
            assert process.poll() is None, finish(process).why
            time.sleep(0.01)
        pair.source.value(f"select pg_terminate_backend({found[0][0]})")
    finish(process).expect(DONE)
    assert pair.target.value("select a from t") == 1
