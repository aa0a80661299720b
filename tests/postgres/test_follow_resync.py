"""A stream whose slot is lost is taken up again by a comparison, not by a copy."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from awaiting import until
from command import DONE, REFUSED, STOPPED, finish, start, windlass
from cutovers import WIDE, variables
from killing import kill
from pursued import FOLLOW, TABLES, following, write
from servers import FAST, Database, Pair, Server
from standbys import standby_of

RESYNC = ("verify", "--follow", "--repair", "--yes", "--json")
BACK = ("cutover", "--back", "--yes", "--json", *WIDE)
COMPARING = "windlass verify --follow --repair"
REGARDLESS = "set default_transaction_read_only = off"
ACTIVE = "select pg_terminate_backend(active_pid) from pg_replication_slots where active"
SLOTS = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active"


@pytest.fixture
def pair(logical: Callable[[int], Database]) -> Pair:
    found = Pair(logical(16), logical(18))
    found.source.run(*TABLES)
    return found


def test_a_lost_slot_costs_a_comparison(pair: Pair) -> None:
    with following(pair):
        write(pair.source, 1)
        windlass(*RESYNC, pair=pair).expect(REFUSED)
    until(lambda: _is_idle(pair), "no reader of the slot")
    whole = windlass(*RESYNC, pair=pair).expect(REFUSED)
    assert "its stream is whole" in str(whole.result["problems"])
    pair.source.run(SLOTS)
    for seed in range(2, 12):
        write(pair.source, seed)
    pair.source.run("update shop.accounts set name = 'other' where id < 100")
    lost = windlass(*FOLLOW, pair=pair).expect(STOPPED)
    assert lost.result["stopped_by"] == "slot_lost"
    assert "windlass verify --follow --repair" in lost.result["hint"]
    run = pair.target.value("select run from windlass.following")
    name = f"windlass_{run}_forward"
    # another slot of that name begins after what is missing
    pair.source.run(f"select pg_create_logical_replication_slot('{name}', 'pgoutput')")
    lost = windlass(*FOLLOW, pair=pair).expect(STOPPED)
    assert lost.result["stopped_by"] == "slot_lost" and "begins at" in lost.result["message"]

    ran = windlass(*RESYNC, pair=pair).expect(DONE)
    assert ran.result["differences"] == []
    assert {one["verified"] for one in ran.result["relations"]} == {"full"}
    undo = windlass("rollback", "--yes", "--json", ran.result["run"], pair=pair).expect(REFUSED)
    assert f"windlass abandon {run}" in str(undo.result["problems"])
    write(pair.source, 20)
    with following(pair):
        write(pair.source, 21)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)


# a process dies just before each of these
MARKS = (
    "windlass.engines.postgres.replication.slots.create",
    "windlass.flows.repair.steps.repair 2",
    "windlass.flows.follow.resync._check_equal",
    "windlass.flows.follow.resync.begin_again",
)


def test_killed_at_any_mark_nothing_follows_and_the_same_command_begins_again(pair: Pair) -> None:
    _lose_the_slot(pair)
    pair.source.run("delete from shop.transfers where id < 50", "delete from shop.days")
    for number, mark in enumerate(MARKS):
        kill(f"call {mark}", RESYNC, variables(pair))
        lost = windlass(*FOLLOW, pair=pair).expect(STOPPED)
        assert lost.result["stopped_by"] == "slot_lost", mark
        write(pair.source, 40 + number)
    assert windlass(*RESYNC, pair=pair).expect(DONE).result["differences"] == []
    with following(pair):
        write(pair.source, 60)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)


def test_a_slot_that_is_lost_after_a_flip_back_is_repaired_on_the_closed_target(pair: Pair) -> None:
    with following(pair):
        windlass("cutover", "--yes", *WIDE, pair=pair).expect(DONE)
        write(pair.target, 1)
        windlass("cutover", "--back", "--yes", *WIDE, pair=pair).expect(DONE)
    _lose_the_slot(pair)
    write(pair.source, 3)
    assert windlass(*RESYNC, pair=pair).expect(DONE).result["differences"] == []
    with pair.target.connect() as late, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        late.execute("delete from shop.days")
    with following(pair):
        write(pair.source, 4)
        until(lambda: windlass("cutover", "--rehearse", *WIDE, pair=pair).code == DONE, "a lag")
        windlass("cutover", "--yes", *WIDE, pair=pair).expect(DONE)
        write(pair.target, 5)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)


def test_a_slot_that_is_lost_after_a_cutover_costs_a_comparison_after_the_flip_back(
    pair: Pair,
) -> None:
    """The way back needs no slot of the source: it continues, and so does a process that begins."""
    with following(pair) as follower:
        windlass("cutover", "--yes", *WIDE, pair=pair).expect(DONE)
        pair.source.run(REGARDLESS, "update shop.accounts set name = 'stray' where id = 7")
        until(lambda: _shown(pair)["strays"], "the late write")
        pair.source.run(REGARDLESS, "update shop.accounts set name = 'account 7' where id = 7")
        until(lambda: _drops(pair), "a slot that is dropped")
        until(lambda: "is gone" in _shown(pair)["lost"], "the loss is reported")
        write(pair.target, 2)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
        assert follower.poll() is None, follower.said()
    until(lambda: _is_idle(pair), "no reader of the slot")
    follower = start(*FOLLOW, pair=pair)
    try:
        write(pair.target, 3)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
        refused = windlass(*BACK, pair=pair).expect(REFUSED)  # by what was written before the loss
        assert "others have written" in str(refused.result["problems"])
        windlass("verify", "--follow", pair=pair).expect(DONE)
        ran = windlass(*BACK, pair=pair).expect(DONE)
        assert COMPARING in str(ran.result["notices"])
        assert COMPARING in ran.result["cutover"]["next_steps"]
        lost = finish(follower).expect(STOPPED)
    finally:
        follower.kill()
        follower.wait()
    assert lost.result["stopped_by"] == "slot_lost" and COMPARING in lost.result["hint"]
    assert _shown(pair)["next_steps"] == [COMPARING, "windlass abandon"]
    write(pair.source, 4)
    assert windlass(*RESYNC, pair=pair).expect(DONE).result["differences"] == []
    with following(pair):
        write(pair.source, 5)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
        assert _shown(pair)["lost"] == ""


def _drops(pair: Pair) -> bool:
    """Before the process that follows has the slot again."""
    pair.source.run(ACTIVE)
    with suppress(psycopg.errors.ObjectInUse):
        return bool(pair.source.rows(SLOTS))
    return False


def _shown(pair: Pair) -> dict[str, Any]:
    found = windlass("status", "--json", pair=pair).expect(DONE).result
    return next(dict(run["following"]) for run in found["runs"] if run["following"])


def _lose_the_slot(pair: Pair) -> None:
    """While no process follows."""
    with following(pair):
        write(pair.source, 2)
    until(lambda: _is_idle(pair), "no reader of the slot")
    pair.source.run(SLOTS)
    write(pair.source, 30)


@pytest.mark.full
def test_a_slot_whose_log_the_server_has_removed_costs_a_comparison(
    own_server: Callable[..., Server], logical: Callable[[int], Database]
) -> None:
    little = {"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    pair = Pair(own_server(16, {**FAST, **little}).create_database("shop"), logical(18))
    pair.source.run(*TABLES)
    with following(pair):
        write(pair.source, 1)
    until(lambda: _is_idle(pair), "no reader of the slot")
    for number in range(2, 8):
        write(pair.source, number)
        pair.source.run("select pg_switch_wal()", "checkpoint")
    lost = windlass(*FOLLOW, pair=pair).expect(STOPPED).result
    assert lost["stopped_by"] == "slot_lost" and "has lost the log" in lost["message"]
    windlass(*RESYNC, pair=pair).expect(DONE)
    with following(pair):
        write(pair.source, 9)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)


@pytest.mark.full
def test_a_failover_of_the_source_costs_a_comparison(
    own_server: Callable[..., Server], logical: Callable[[int], Database]
) -> None:
    """The standby lacks what the primary had committed last, and the target has."""
    primary = own_server(16)
    pair = Pair(primary.create_database("shop"), logical(18))
    pair.source.run(*TABLES)
    with following(pair):
        write(pair.source, 1)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
    until(lambda: _is_idle(pair), "no reader of the slot")
    standby = standby_of(primary)
    try:
        with following(pair):
            write(pair.source, 2)
            until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
        primary.stop(signal.SIGQUIT)
        standby.admin.run("select pg_promote()")
        now = Pair(Database(standby, "shop"), pair.target)
        assert _rows(now.source) != _rows(now.target)
        lost = windlass(*FOLLOW, pair=now).expect(STOPPED).result
        assert lost["stopped_by"] in ("timeline", "slot_lost"), lost
        assert "windlass verify --follow --repair" in lost["hint"]
        assert windlass(*RESYNC, pair=now).expect(DONE).result["differences"] == []
        assert _rows(now.source) == _rows(now.target)
        with following(now):
            write(now.source, 3)
            until(lambda: _rows(now.source) == _rows(now.target), "equal sides", 30)
    finally:
        standby.remove()


@pytest.mark.full
def test_a_failover_of_the_source_after_a_cutover_leaves_the_way_back(
    own_server: Callable[..., Server], logical: Callable[[int], Database]
) -> None:
    """Its position is on the source, so the standby has it; the slot of the source is gone."""
    primary = own_server(16)
    pair = Pair(primary.create_database("shop"), logical(18))
    pair.source.run(*TABLES)
    with following(pair):
        windlass("cutover", "--yes", *WIDE, pair=pair).expect(DONE)
        write(pair.target, 1)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)
    until(lambda: _is_idle(pair), "no reader of the slot")
    standby = standby_of(primary)
    follower = None
    try:
        primary.stop(signal.SIGQUIT)
        standby.admin.run("select pg_promote()")
        now = Pair(Database(standby, "shop"), pair.target)
        write(now.target, 2)
        follower = start(*FOLLOW, pair=now)
        until(lambda: _rows(now.source) == _rows(now.target), "equal sides", 30)
        assert "timeline" in _shown(now)["lost"] or "is gone" in _shown(now)["lost"]
        assert COMPARING in str(windlass(*BACK, pair=now).expect(DONE).result["notices"])
        finish(follower).expect(STOPPED)
        write(now.source, 3)
        assert windlass(*RESYNC, pair=now).expect(DONE).result["differences"] == []
        with following(now):
            write(now.source, 4)
            until(lambda: _rows(now.source) == _rows(now.target), "equal sides", 30)
    finally:
        if follower is not None:
            follower.kill()
            follower.wait()
        standby.remove()


def _is_idle(pair: Pair) -> bool:
    return pair.source.rows("select 1 from pg_replication_slots where active") == []


def _rows(database: Database) -> object:
    return database.rows(
        "select (select md5(string_agg(t::text, ',' order by id)) from shop.transfers t),"
        " (select md5(string_agg(a::text, ',' order by id)) from shop.accounts a),"
        " (select md5(string_agg(d::text, ',' order by day)) from shop.days d)"
    )
