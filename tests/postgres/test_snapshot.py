"""All readers see one moment of the source, whatever writers do."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from command import DONE, migrate
from oracle import schema_difference
from servers import Database, Pair

ACCOUNTS = 60_000
WRITERS = 3


@contextmanager
def writing(source: Database) -> Iterator[list[int]]:
    """Writers that move money between accounts and add orders with all of their lines.

    Each does so in one transaction, so only a mixture of moments shows a wrong sum, or an order
    without its lines. Yields the count of transactions per writer.
    """
    done = [0] * WRITERS
    stop = threading.Event()

    def write(number: int) -> None:
        rng = random.Random(number)
        with psycopg.connect(source.url) as connection:
            while not stop.is_set():
                with connection.transaction():
                    transfer(connection, rng)
                with connection.transaction():
                    order(connection, rng)
                done[number] += 2

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def transfer(connection: psycopg.Connection, rng: random.Random) -> None:
    """Between accounts far apart, in the order of their keys so that writers never deadlock."""
    low, high = sorted((rng.randint(1, ACCOUNTS), rng.randint(1, ACCOUNTS)))
    amount = rng.randint(-500, 500)
    for key, change in ((low, amount), (high, -amount)):
        connection.execute(
            "update busy.accounts set balance = balance + %s, note = %s where id = %s",
            (change, "x" * rng.randint(0, 300), key),
        )
    if rng.random() < 0.2:  # a row that changes its key is in two places for two moments
        connection.execute("update busy.accounts set id = -id where id = %s", (low,))
        connection.execute("update busy.accounts set id = %s where id = %s", (low, -low))


def order(connection: psycopg.Connection, rng: random.Random) -> None:
    lines = rng.randint(1, 4)
    made = connection.execute(
        "insert into busy.orders (n, at) values (%s, now()) returning id", (lines,)
    ).fetchone()
    assert made is not None
    for _ in range(lines):
        connection.execute("insert into busy.lines (order_id, amount) values (%s, 1)", made)
    gone = (rng.randint(1, 20_000),)
    connection.execute("delete from busy.lines where order_id = %s", gone)
    connection.execute("delete from busy.orders where id = %s", gone)


def assert_one_moment(target: Database) -> None:
    assert target.rows("select count(*), sum(balance) from busy.accounts") == [
        (ACCOUNTS, 1000 * ACCOUNTS)
    ]
    assert (
        target.rows(
            "select o.id from busy.orders o left join busy.lines l on l.order_id = o.id"
            " group by o.id, o.n having count(l.id) <> o.n"
        )
        == []
    )
    assert (
        target.rows(
            "select l.id from busy.lines l left join busy.orders o on o.id = l.order_id"
            " where o.id is null"
        )
        == []
    )


def test_a_move_beside_writers_shows_one_moment_and_is_verified(busy: Pair) -> None:
    with writing(busy.source) as before:
        started = sum(before)
        done = migrate(busy, "--chunk-size", "64kB", "--jobs", "3").expect(DONE).result
        assert sum(before) - started > 20, "the writers did not write beside the move"
    assert len(done["snapshots"]) == 1
    assert all(len(relation["snapshots"]) <= 1 for relation in done["relations"])
    assert done["verified"] == "full"
    assert_one_moment(busy.target)
    assert schema_difference(busy.source, busy.target) == []


def test_by_keys_a_move_beside_writers_shows_one_moment_too(busy: Pair) -> None:
    with writing(busy.source):
        migrate(busy, "--chunk-size", "64kB", "--chunk-by", "keyset").expect(DONE)
    assert_one_moment(busy.target)


def test_sequences_are_past_every_key_that_arrived(busy: Pair) -> None:
    """A sequence is not part of any snapshot: read last, it can only be too far ahead."""
    with writing(busy.source):
        migrate(busy, "--verify", "none").expect(DONE)
    highest = busy.target.value("select max(id) from busy.orders")
    assert busy.target.value("select nextval('busy.orders_id_seq')") > highest
