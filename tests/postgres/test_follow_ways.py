"""Whatever stops a run that follows, the commands that its hints name are accepted then."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from awaiting import until
from command import DIFFERENT, DONE, REFUSED, STOPPED, Ran, finish, start, windlass
from cutovers import WIDE, variables
from follow_runs import NEWEST
from killing import kill
from pursued import FOLLOW, TABLES, following, phase, write
from servers import Database, Pair

RUN = f"select run {NEWEST}"
BACK = ("cutover", "--back", "--json", *WIDE)
SLOTS = "select slot_name::text from pg_replication_slots where database = current_database()"
NAMED = re.compile(r"windlass (rollback|abandon|finish) ([0-9a-f_]+)")


@pytest.fixture
def pair(logical: Callable[[int], Database]) -> Pair:
    found = Pair(logical(16), logical(18))
    found.source.run(*TABLES)
    return found


def until_idle(pair: Pair) -> None:
    """The servers have noticed that a process which followed is gone."""
    query = "select 1 from pg_replication_slots where active and database = current_database()"
    until(
        lambda: not pair.source.rows(query) and not pair.target.rows(query), "no reader of a slot"
    )


def hints(ran: Ran) -> str:
    problems: list[dict[str, Any]] = ran.result.get("problems", [])
    return " ".join([ran.result.get("hint") or "", *(one["hint"] for one in problems)])


def obey(ran: Ran, pair: Pair) -> str:
    """Do what a refusal says."""
    verb, run = NAMED.findall(hints(ran))[0]
    windlass(verb, "--yes", run, pair=pair).expect(DONE)
    return str(verb)


def until_equal(pair: Pair) -> None:
    query = (
        "select (select md5(string_agg(t::text, ',' order by id)) from shop.transfers t),"
        " (select md5(string_agg(a::text, ',' order by id)) from shop.accounts a)"
    )
    until(lambda: pair.source.rows(query) == pair.target.rows(query), "equal sides", 30)


def cut_over(pair: Pair, *words: str) -> None:
    until(lambda: windlass("cutover", "--rehearse", *WIDE, pair=pair).code == DONE, "a rehearsal")
    windlass("cutover", "--yes", *WIDE, *words, pair=pair).expect(DONE)


def test_other_commands_name_what_ends_a_run_that_follows(pair: Pair) -> None:
    with following(pair):
        run = pair.target.value(RUN)
    until_idle(pair)
    for words in (
        ("migrate", "--json"),  # of other options
        (*FOLLOW, "--restart"),
        ("clean", "--yes", "--json", run),
        ("rollback", "--yes", "--json", run),
    ):
        ran = windlass(*words, pair=pair).expect(REFUSED)
        assert f"windlass abandon {run}" in hints(ran), words
        assert f"windlass rollback {run}" not in hints(ran), words
        assert len(pair.source.rows(SLOTS)) == 1
    shown = windlass("status", run, pair=pair).expect(DONE).stdout
    assert "next: windlass migrate --follow | windlass abandon" in shown
    assert "windlass rollback" not in shown
    assert obey(ran, pair) == "abandon"
    assert f"next: windlass rollback {run}" in windlass("status", run, pair=pair).stdout
    windlass("rollback", "--yes", run, pair=pair).expect(DONE)


def test_a_restart_while_rows_are_copied_removes_the_stream_too(pair: Pair) -> None:
    kill("call windlass.flows.follow.steps.identify_target", FOLLOW, variables(pair))
    before = pair.target.value(RUN)
    assert pair.source.rows(SLOTS) == [(f"windlass_{before}_forward",)]
    with following(pair, "--restart"):
        run = pair.target.value(RUN)
        assert run != before
        assert pair.source.rows(SLOTS) == [(f"windlass_{run}_forward",)]
        write(pair.source, 1)
        until_equal(pair)
    windlass("abandon", "--yes", run, pair=pair).expect(DONE)
    assert pair.source.rows(SLOTS) == pair.source.rows("select pubname from pg_publication") == []
    assert pair.source.value("select to_regnamespace('windlass')") is None


def test_a_lost_way_back_before_a_cutover_costs_nothing(pair: Pair) -> None:
    with following(pair):
        until(lambda: windlass("cutover", "--rehearse", *WIDE, pair=pair).code == DONE, "a lag")
    until_idle(pair)
    drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active"
    pair.target.run(drop + " and database = current_database()")
    write(pair.source, 1)
    with following(pair) as follower:
        until_equal(pair)
        cut_over(pair)
        write(pair.target, 2)
        until_equal(pair)
        assert follower.poll() is None, follower.said()


def test_a_lost_way_back_after_a_cutover_leaves_finish(pair: Pair) -> None:
    with following(pair):
        cut_over(pair)
    until_idle(pair)
    pair.target.run("select pg_drop_replication_slot(slot_name) from pg_replication_slots"
                    " where database = current_database()")  # fmt: skip
    ran = windlass(*FOLLOW, pair=pair).expect(STOPPED)
    assert ran.result["stopped_by"] == "slot_lost"
    assert obey(ran, pair) == "finish"
    assert pair.source.rows(SLOTS) == [] and phase(pair) == "finished"


def test_what_changes_on_the_target_after_a_cutover_is_said_of_the_target(pair: Pair) -> None:
    change = "alter table shop.accounts add column more text"
    with following(pair) as follower:
        cut_over(pair)
        pair.target.run(change, "update shop.accounts set more = 'x' where id < 5")
        ran = finish(follower).expect(STOPPED)
    assert ran.result["stopped_by"] == "schema_change"
    assert "shop.accounts has changed on the target: the source has no" in ran.result["message"]
    assert ran.result["hint"].startswith("make the same change on the source, in a session")
    assert "default_transaction_read_only = off" in ran.result["hint"]
    assert "Before a flip back, windlass verify --follow has to find both" in ran.result["hint"]
    pair.source.run("set default_transaction_read_only = off", change)
    follower = start(*FOLLOW, pair=pair)
    try:
        until_equal(pair)
        until(lambda: windlass(*BACK, "--rehearse", pair=pair).code == REFUSED, "a refusal")
        refused = windlass(*BACK, "--yes", pair=pair).expect(REFUSED)
        assert "the definition of shop.accounts" in str(refused.result["problems"])
        windlass("verify", "--follow", pair=pair).expect(DONE)
        windlass(*BACK, "--yes", pair=pair).expect(DONE)
        pair.source.run("update shop.accounts set more = 'y' where id < 9")
        until_equal(pair)
    finally:
        follower.kill()
        follower.wait()


def test_a_copy_that_differs_can_be_rolled_back(pair: Pair) -> None:
    kill("call windlass.flows.validate.steps.validate_content", FOLLOW, variables(pair))
    pair.target.run("update shop.accounts set name = 'other' where id = 7")
    ran = windlass(*FOLLOW[:-1], pair=pair).expect(DIFFERENT)
    assert "--repair" not in ran.said
    assert pair.source.rows(SLOTS) == []
    again = windlass(*FOLLOW, pair=pair).expect(DIFFERENT)
    verb, run = NAMED.findall(again.result["hint"])[0]
    assert verb == "rollback"
    windlass(verb, "--yes", "--force", run, pair=pair).expect(DONE)
