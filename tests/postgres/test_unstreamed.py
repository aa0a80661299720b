"""What no stream carries reaches the other side at a cutover and at a flip back: unlogged tables,
large objects, materialized views. What does not fit into the freeze is refused or named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from awaiting import until
from command import DONE, REFUSED, Running, windlass
from follow_runs import VERSIONS, phase, until_lag_known
from follow_runs import following as following_now
from killing import kill
from servers import Database, Pair

MADE = (
    "create schema shop",
    "create table shop.accounts (id bigint primary key, balance numeric)",
    "insert into shop.accounts select n, n from generate_series(1, 500) n",
    "create type shop.kind as enum ('a', 'b')",
    "create unlogged table shop.carts (id bigint generated always as identity primary key,"
    " account bigint references shop.accounts on delete cascade, kind shop.kind,"
    " twice bigint generated always as (account * 2) stored)",
    "create unlogged table shop.items (cart bigint references shop.carts on delete cascade)",
    "insert into shop.carts (account, kind) select n, 'a' from generate_series(1, 300) n",
    "insert into shop.items select n from generate_series(1, 300) n",
    "create materialized view shop.sums as select sum(balance) as total from shop.accounts",
    "create materialized view shop.more as select total + 1 as total from shop.sums",
    "select lo_from_bytea(n, convert_to('object ' || n, 'utf8'))"
    " from generate_series(20001, 20005) n",
    "comment on large object 20003 is 'kept'",
)
WIDE = ("--yes", "--json", "--max-lag", "10s", "--max-freeze", "20s")
HELD = {
    "rows": "select (select array_agg(c::text order by id) from shop.carts c),"
    " (select array_agg(cart order by cart) from shop.items)",
    "objects": "select oid::bigint, convert_from(lo_get(oid), 'utf8'), obj_description(oid,"
    " 'pg_largeobject') from pg_largeobject_metadata where oid <> 31337 order by oid",
}


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest, logical: Callable[[int], Database]) -> Pair:
    found = Pair(*map(logical, request.param))
    found.source.run(*MADE)
    # of somebody else, and to stay so
    found.target.run("select lo_from_bytea(31337, 'others')")
    return found


FRESH = "select (select total from shop.more) - 1 = (select sum(balance) from shop.accounts)"


@contextmanager
def following(pair: Pair) -> Iterator[Running]:
    with following_now(pair) as follower:
        until_lag_known(pair, follower)
        yield follower


def held(database: Database) -> dict[str, Any]:
    return {name: database.rows(query) for name, query in HELD.items()}


def change(database: Database, seed: int) -> None:
    """All of it changes: rows, objects that are new, written and removed, and a view's rows."""
    database.run(
        f"insert into shop.carts (account, kind) values ({seed}, 'b')",
        f"delete from shop.accounts where id = {seed + 100}",  # and carts and items with it
        f"update shop.carts set kind = 'b' where account = {seed + 200}",
        f"update shop.accounts set balance = balance + {seed} where id = 1",
        f"select lo_from_bytea({seed + 30000}, 'new')",
        f"select lo_put({seed + 20001}, 0, 'changed')",
        f"select lo_unlink({seed + 20000})" if seed > 1 else "select 1",
        f"comment on large object {seed + 20001} is 'seed {seed}'",
    )


def notices(ran: Any) -> str:
    return "\n".join(ran.result["notices"])


def test_the_plan_counts_it_and_a_cutover_brings_it_over_forth_and_back(pair: Pair) -> None:
    planned = " ".join(windlass("plan", "--follow", pair=pair).expect(DONE).said.split())
    assert "which gets a publication, a slot, event triggers" in planned
    assert "2 unlogged tables (shop.carts, shop.items; " in planned
    assert "and 5 large objects (" in planned
    assert "2 materialized views (shop.sums, shop.more)" in planned
    with following(pair):
        change(pair.source, 1)
        compared = windlass("verify", "--follow", pair=pair).expect(DONE)  # behind is no difference
        assert "1 of 3 compared, all equal" in compared.said and "✗" not in compared.said
        rehearsed = windlass("cutover", "--rehearse", *WIDE[1:], pair=pair).expect(DONE)
        assert rehearsed.result["cutover"]["parts_ms"]["recopy"] > 0
        assert "unlogged shop.carts, shop.items and large objects" in notices(rehearsed)
        change(pair.source, 2)
        ran = windlass("cutover", *WIDE, pair=pair).expect(DONE)
        assert ran.result["cutover"]["parts_ms"]["recopy"] > 0
        assert held(pair.target) == held(pair.source) and pair.target.value(FRESH)
        assert pair.target.value("select twice from shop.carts where account = 2") == 4
        change(pair.target, 3)
        windlass("cutover", "--back", *WIDE, pair=pair).expect(DONE)
        assert held(pair.target) == held(pair.source) and pair.source.value(FRESH)
        change(pair.source, 4)
        windlass("cutover", *WIDE, pair=pair).expect(DONE)
        assert held(pair.target) == held(pair.source)
        assert pair.source.rows("select 1 from pg_largeobject_metadata where oid = 31337") == []
        windlass("finish", "--yes", pair=pair).expect(DONE)
    run = str(pair.target.value("select run from windlass.run"))
    windlass("rollback", "--yes", "--force", run, pair=pair).expect(DONE)
    left = "select oid::bigint, lo_get(oid) from pg_largeobject_metadata"
    assert pair.target.rows(left) == [(31337, b"others")]


@pytest.mark.parametrize("mark", ["copy_tables 2", "_check_ours 2", "Recopying._journal"])
def test_killed_while_it_is_copied_again_the_same_command_completes_it(
    pair: Pair, mark: str
) -> None:
    with following(pair):
        change(pair.source, 1)
        place = f"windlass.flows.cutover.recopying.{mark}".replace(".Recopying.", ":Recopying.")
        sides = {"WINDLASS_SOURCE": pair.source.url, "WINDLASS_TARGET": pair.target.url}
        kill(f"call {place}", ("cutover", *WIDE), sides)
        until(lambda: phase(pair) == "following", "the source is open again")
        change(pair.source, 2)
        windlass("cutover", *WIDE, pair=pair).expect(DONE)
        assert held(pair.target) == held(pair.source)


def test_what_does_not_fit_into_a_freeze_is_refused_and_left_only_if_asked(pair: Pair) -> None:
    with following(pair):
        kept = held(pair.target)
        narrow = (*WIDE[:4], "--max-freeze", "1ms")
        ran = windlass("cutover", *narrow, pair=pair).expect(REFUSED)
        (problem,) = ran.result["problems"]
        assert problem["object"] == "unlogged shop.carts, shop.items and large objects"
        assert "--max-freeze" in problem["hint"] and "--no-recopy" in problem["hint"]
        change(pair.source, 1)
        ran = windlass("cutover", "--no-recopy", *WIDE, pair=pair).expect(DONE)
        kept_copies = "keeps its present copies of unlogged shop.carts, shop.items and large"
        assert kept_copies in notices(ran)
        assert held(pair.target)["objects"] == kept["objects"]
        ran = windlass("cutover", "--back", *WIDE, pair=pair).expect(REFUSED)
        assert "they were not copied again" in str(ran.result["problems"])
        windlass("cutover", "--back", "--no-recopy", *WIDE, pair=pair).expect(DONE)


def test_others_large_objects_and_views_that_fail_are_named(pair: Pair) -> None:
    with following(pair):
        pair.source.run("select lo_from_bytea(31337, 'ours')")
        ran = windlass("cutover", *WIDE, pair=pair).expect(REFUSED)
        assert "other large objects with the same ids: 31337" in str(ran.result["problems"])
        pair.source.run("select lo_unlink(31337)")
        pair.target.run("drop materialized view shop.more")
        ran = windlass("cutover", *WIDE, pair=pair).expect(DONE)
        assert "afterwards, REFRESH MATERIALIZED VIEW shop.more" in notices(ran)
        assert phase(pair) == "switched"
