"""Losses that users of other tools have reported, as scenarios: committed transactions that the
target never got, without an error."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from awaiting import until
from command import DONE, Running, finish, start, windlass
from cutovers import FOLLOW, TAKEN_BACK, variables
from follow_runs import following
from killing import kill
from servers import Database, Pair

LOG = (
    "create table log (id bigint primary key, text text not null)",
    # one transaction for each row
    "create procedure write(first bigint, last bigint) language plpgsql as $$begin"
    " for n in first..last loop insert into log values (n, 'row ' || n); commit; end loop; end$$",
)
CUTOVER = (
    "cutover",
    "--yes",
    "--json",
    "--no-reverse",
    "--max-lag",
    "300s",
    "--max-freeze",
    "100s",
)
COUNT = "select count(*), coalesce(sum(id), 0) from log"


@pytest.fixture
def pair(logical: Callable[[int], Database]) -> Pair:
    found = Pair(logical(16), logical(18))
    found.source.run(*LOG)
    return found


@contextmanager
def stopped(follower: Running) -> Iterator[None]:
    """It hears nothing: what is written now is a backlog."""
    follower.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed
            follower.send_signal(signal.SIGCONT)


def await_all(pair: Pair) -> None:
    until(lambda: pair.source.rows(COUNT) == pair.target.rows(COUNT), "all rows are there")


def test_a_keepalive_moves_no_position_past_what_is_not_applied(
    pair: Pair, logical: Callable[[int], Database]
) -> None:
    """https://github.com/dimitri/pgcopydb/issues/1033: another database's log, of which only
    keepalives tell, between transactions; and the process dies."""
    neighbour = logical(16)
    neighbour.run("create table busy (id int)")
    with following(pair) as follower:
        for number in range(3):
            with stopped(follower):
                pair.source.run(f"call write({number * 100 + 1}, {number * 100 + 50})")
                neighbour.run("insert into busy select generate_series(1, 20000)")
                pair.source.run(f"call write({number * 100 + 51}, {number * 100 + 100})")
            place = "call windlass.following.position:Position.commit 2"
            follower.kill()
            follower.wait()
            kill(place, FOLLOW, variables(pair))
            neighbour.run("insert into busy select generate_series(1, 20000)")
            follower = start(*FOLLOW, pair=pair)
        try:
            await_all(pair)
        finally:
            follower.kill()
            follower.wait()
    assert pair.target.value("select count(*) from log") == 300


def test_transactions_that_begin_and_commit_in_different_orders_all_arrive(pair: Pair) -> None:
    """https://github.com/dimitri/pgcopydb/issues/1044: the one that began first commits last, and
    the process dies in between."""
    with following(pair) as follower:
        for number in range(0, 40, 10):
            with pair.source.connect() as first, pair.source.connect() as second:
                first.execute("begin")
                first.execute("insert into log values (%s, 'first')", (number + 1,))
                second.execute("begin")
                second.execute("insert into log values (%s, 'second')", (number + 2,))
                first.execute("insert into log values (%s, 'first')", (number + 3,))
                second.execute("commit")
                until(
                    lambda number=number: pair.target.rows(  # type: ignore[misc]
                        "select 1 from log where id = %s", (number + 2,)
                    ),
                    "the second transaction",
                )
                follower.kill()
                follower.wait()
                first.execute("commit")
            follower = start(*FOLLOW, pair=pair)
        try:
            await_all(pair)
        finally:
            follower.kill()
            follower.wait()
    assert pair.target.value("select count(*) from log") == 12


@pytest.mark.parametrize("dies", [False, True], ids=["lives", "dies"])
def test_a_cutover_with_a_backlog_opens_the_target_with_all_of_it(pair: Pair, dies: bool) -> None:
    """https://github.com/dimitri/pgcopydb/issues/1049 and 1050: many transactions are not applied
    yet when the end is known, keepalives between and after them; and the process dies."""
    with following(pair) as follower:
        until(lambda: pair.target.value("select lag_ms from windlass.applied"), "a lag")
        with stopped(follower):
            pair.source.run("call write(1, 3000)")
            pair.source.run("select pg_switch_wal()", "select txid_current()")
            pair.source.run("call write(3001, 6000)")
            cutover = start(*CUTOVER, pair=pair)
            until(
                lambda: (
                    pair.target.value("select phase from windlass.following") == "freezing"
                    or cutover.poll() is not None
                ),
                "the freeze",
            )
            if dies:
                follower.kill()
                follower.wait()
        again = start(*FOLLOW, pair=pair) if dies else None
        try:
            ran = finish(cutover)
            code = ran.code
            if dies and code == TAKEN_BACK:  # a process that begins now does not know what is late
                assert ran.result["stopped_by"] == "time" and "within the freeze" in ran.said
                until(lambda: windlass(*CUTOVER, pair=pair).code == DONE, "the cutover", 120)
            else:
                assert code == DONE, cutover.said()
        finally:
            if again:
                again.kill()
                again.wait()
    assert pair.target.rows(COUNT) == [(6000, 6000 * 6001 // 2)]
    windlass("status", pair=pair).expect(DONE)
