"""A pair that moves is compared as of one moment: what differs then is a difference, and nothing
that is only on its way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest

from awaiting import until
from command import DIFFERENT, DONE, REFUSED, windlass
from pursued import TABLES, following, phase, write
from servers import Database, Pair


@pytest.fixture
def followed(logical: Callable[[int], Database]) -> Pair:
    pair = Pair(logical(16), logical(18))
    pair.source.run(*TABLES)
    return pair


@contextmanager
def writing(source: Database) -> Iterator[None]:
    """Somebody writes all the time."""
    stop = threading.Event()

    def run() -> None:
        for seed in count(2000):
            if stop.is_set():
                return
            write(source, seed)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_pair_is_equal_while_it_is_written_to_and_one_changed_row_is_found(
    followed: Pair,
) -> None:
    with following(followed):
        with writing(followed.source):
            windlass("verify", "--follow", "--json", pair=followed).expect(DONE)
            followed.target.run("update shop.accounts set name = 'other' where id = 7")
            result = windlass("verify", "--follow", "--json", pair=followed).expect(DIFFERENT)
            some = ("verify", "--follow", "--json", "--include", "shop.days*")
            windlass(*some, pair=followed).expect(DONE)
        (row,) = [one for one in result.result["differences"] if one["key"]]
        assert row["key"] == {"id": "7"}
        detail = windlass("status", "--json", pair=followed).expect(DONE).result
        assert "with differences" in str(detail["runs"][0]["following"]["verified"])


def waiting(side: Database, relation: str) -> bool:
    """Whether a session waits for a lock on it."""
    query = "select count(*) from pg_locks where relation = %s::regclass and not granted"
    return bool(side.value(query, (relation,)))


def test_what_is_applied_before_the_pause_is_no_difference(followed: Pair) -> None:
    source, target = followed.source, followed.target
    with following(followed), ThreadPoolExecutor() as pool:
        with target.connect() as session, session.transaction():
            session.execute("lock table windlass.request in exclusive mode")  # nothing can be asked
            done = pool.submit(windlass, "verify", "--follow", "--json", pair=followed)
            until(lambda: waiting(target, "windlass.request"), "the pause is asked for")
            source.run("insert into shop.accounts values (50000, 'late', 0)")
            arrived = "select count(*) from shop.accounts where id = 50000"
            until(lambda: target.value(arrived), "it is applied")
        done.result().expect(DONE)


def test_comparisons_at_once_do_not_disturb_each_other(followed: Pair) -> None:
    with following(followed), writing(followed.source), ThreadPoolExecutor() as pool:
        words = ("verify", "--follow", "--json")
        for done in [pool.submit(windlass, *words, pair=followed) for _ in range(3)]:
            done.result().expect(DONE)


def test_a_pair_is_compared_after_a_cutover_and_after_a_flip_back(followed: Pair) -> None:
    with following(followed):
        windlass("cutover", "--yes", "--json", pair=followed).expect(DONE)
        with writing(followed.target):
            windlass("verify", "--follow", "--json", pair=followed).expect(DONE)
        windlass("cutover", "--back", "--yes", "--json", pair=followed).expect(DONE)
        assert phase(followed) == "following"
        windlass("verify", "--follow", "--json", pair=followed).expect(DONE)
        windlass("cutover", "--yes", "--json", pair=followed).expect(DONE)
        followed.source.run(  # a writer that nobody told
            "set default_transaction_read_only = off",
            "update shop.accounts set name = 'other' where id = 7",
        )
        windlass("verify", "--follow", "--json", pair=followed).expect(DIFFERENT)


def test_a_pair_that_nothing_follows_is_refused(followed: Pair) -> None:
    result = windlass("verify", "--follow", "--json", pair=followed).expect(REFUSED).result
    (problem,) = result["problems"]
    assert problem["message"] == "nothing follows into it now"
    # before it asks, which nobody can answer here
    said = windlass("cutover", pair=followed).expect(REFUSED).said
    assert "no run follows into it" in said and "cannot ask" not in said


def test_a_follower_that_was_killed_is_named_and_nothing_waits_for_ever(followed: Pair) -> None:
    with following(followed) as follower:
        follower.kill()
        follower.wait()
    result = windlass("verify", "--follow", "--json", pair=followed).expect(REFUSED).result
    (problem,) = result["problems"]
    assert "no process follows" in problem["message"]
    until(
        lambda: (
            followed.source.value("select count(*) from pg_replication_slots where temporary") == 0
        ),
        "no slot is left",
    )
