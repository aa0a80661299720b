"""A stream whose slot is lost is taken up again by a comparison, not by a copy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from awaiting import until
from command import DONE, REFUSED, STOPPED, windlass
from pursued import FOLLOW, TABLES, following, write
from servers import Database, Pair

RESYNC = ("verify", "--follow", "--repair", "--yes", "--json")
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
    write(pair.source, 20)
    with following(pair):
        write(pair.source, 21)
        until(lambda: _rows(pair.source) == _rows(pair.target), "equal sides", 30)


def _is_idle(pair: Pair) -> bool:
    return pair.source.rows("select 1 from pg_replication_slots where active") == []


def _rows(database: Database) -> object:
    return database.rows(
        "select (select md5(string_agg(t::text, ',' order by id)) from shop.transfers t),"
        " (select md5(string_agg(a::text, ',' order by id)) from shop.accounts a),"
        " (select md5(string_agg(d::text, ',' order by day)) from shop.days d)"
    )
