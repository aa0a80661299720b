"""Tables without a replica identity: a run sets one on both sides if it is asked to, says what that
costs, and puts back what was there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from awaiting import until
from command import DONE, REFUSED, windlass
from follow_runs import FOLLOW, VERSIONS, following, until_lag_known
from killing import kill
from servers import Database, Pair

MADE = (
    "create table log (n int, note text)",
    "create table codes (code int not null, note text)",
    "create unique index codes_code on codes (code)",
    "create table kept (id int primary key, note text)",
    "alter table kept replica identity nothing",
    "insert into log select n % 3, 'old' from generate_series(1, 30) n",
    "insert into codes select n, 'old' from generate_series(1, 30) n",
    "insert into kept select n, 'old' from generate_series(1, 30) n",
)
IDENTITIES = (
    "select relname::text, relreplident::text from pg_class"
    " where relnamespace = 'public'::regnamespace and relname in ('log', 'codes', 'kept')"
    " order by relname"
)
BEFORE = [("codes", "d"), ("kept", "n"), ("log", "d")]
SET = [("codes", "i"), ("kept", "d"), ("log", "f")]
WIDE = ("--yes", "--json", "--max-lag", "10s", "--max-freeze", "20s")


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest, logical: Callable[[int], Database]) -> Pair:
    made = Pair(*map(logical, request.param))
    made.source.run(*MADE)
    return made


def identities(pair: Pair) -> list[object]:
    return [pair.source.rows(IDENTITIES), pair.target.rows(IDENTITIES)]


def change(database: Database, note: str) -> None:
    for table in ("log", "codes", "kept"):
        database.run(f"update {table} set note = '{note}' where ctid = '(0,1)' or note = 'old'")


def is_equal(pair: Pair) -> bool:
    query = "select md5(string_agg(t::text, ',' order by t::text)) from {} t"
    return all(
        pair.source.value(query.format(one)) == pair.target.value(query.format(one))
        for one in ("log", "codes", "kept")
    )


def test_identities_are_set_only_if_asked_and_put_back_by_finish(pair: Pair) -> None:
    refused = windlass("plan", "--follow", "--json", pair=pair).expect(REFUSED).result
    assert {one["object"] for one in refused["problems"]} == {
        "public.log", "public.codes", "public.kept"
    }  # fmt: skip
    assert any("--set-identity" in one["hint"] for one in refused["problems"])
    planned = windlass("plan", "--follow", "--set-identity", "--json", pair=pair).expect(DONE)
    notices = " ".join(planned.result["notices"])
    assert "FULL of 1 table (public.log)" in notices and "whole old row to the WAL" in notices
    assert "2 tables" in notices and "public.codes" in notices and "public.kept" in notices
    assert identities(pair) == [BEFORE, []]
    with following(pair, "--set-identity") as follower:
        until_lag_known(pair, follower)
        assert identities(pair) == [SET, SET]
        change(pair.source, "forth")
        until(lambda: is_equal(pair), "equal tables")
        windlass("verify", "--follow", pair=pair).expect(DONE)
        windlass("cutover", *WIDE, pair=pair).expect(DONE)
        change(pair.target, "back")
        until(lambda: is_equal(pair), "equal tables")
        windlass("finish", "--yes", pair=pair).expect(DONE)
    assert identities(pair) == [BEFORE, BEFORE]


@pytest.mark.parametrize(
    "place",
    [
        "windlass.flows.follow.source_side.set_identities",
        "windlass.flows.follow.source_side.slots.create",
        "windlass.flows.follow.steps.identify_target",
    ],
)
def test_abandon_puts_back_what_a_killed_process_has_set(pair: Pair, place: str) -> None:
    kill(f"call {place}", (*FOLLOW, "--set-identity"), env(pair))
    windlass("abandon", "--yes", pair=pair).expect(DONE)
    assert identities(pair)[0] == BEFORE
    assert pair.target.rows(IDENTITIES) in ([], BEFORE)


def env(pair: Pair) -> dict[str, str]:
    return {"WINDLASS_SOURCE": pair.source.url, "WINDLASS_TARGET": pair.target.url}


def test_what_others_have_set_since_stays(pair: Pair) -> None:
    with following(pair, "--set-identity") as follower:
        until_lag_known(pair, follower)
        follower.kill()
        follower.wait()
        pair.source.run("alter table log replica identity nothing")
        windlass("abandon", "--yes", pair=pair).expect(DONE)
    assert identities(pair) == [[*BEFORE[:2], ("log", "n")], BEFORE]
