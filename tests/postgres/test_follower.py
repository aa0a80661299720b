"""Following real servers: what was committed is applied once and in order, whatever is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from awaiting import until
from following import FORWARD, RUN, SLOT, Followed, Simple, Writing, here, session, with_tables
from servers import LAZY, Database, Server
from windlass.engines.postgres.replication import slots
from windlass.engines.postgres.replication.decode import Decoder
from windlass.engines.postgres.replication.lsn import NOWHERE
from windlass.engines.postgres.replication.messages import Commit, Insert
from windlass.engines.postgres.session import Connection
from windlass.errors import ConnectionLost, RunLost, SlotLost
from windlass.following.assembling import Limits, Rules
from windlass.following.changes import Batch
from windlass.following.follower import Follower
from windlass.journal import following as journal
from windlass.model.following import Direction

Make = Callable[[int], Database]


@pytest.fixture
def followed(logical: Make) -> Followed:
    """16 to 18, with tables on both sides that are published."""
    return with_tables(Followed(logical(16), logical(18)))


def test_changes_of_every_kind_arrive(followed: Followed) -> None:
    with followed.following() as follower:
        followed.source.run(
            "insert into one values (1, 'a', repeat('x', 5000)), (2, null, ''), (3, 'c', 'c')",
            "insert into log values (1, 'n'), (1, null), (1, null), (2, 'n')",
            "update one set label = 'b' where id = 1",
            "update one set id = 7 where id = 2",
            "delete from one where id = 3",
            "update log set note = 'm' where note = 'n'",
            "begin; delete from log where id = 2; insert into log values (3); rollback",
            "begin; insert into other values (1); savepoint a; insert into other values (2);"
            " rollback to a; insert into other values (3); commit",
        )
        followed.catch_up(follower)
        assert followed.rows("select id, label, length(body) from one order by id") == [
            (1, "b", 5000),
            (7, None, 0),
        ]
        assert len(followed.rows("select * from log order by id, note")) == 4
        assert followed.rows("select id from other order by 1") == [(1,), (3,)]
        followed.source.run("truncate one, log", "insert into log values (9)")
        followed.catch_up(follower)
        assert followed.rows("select id from one") == []
        assert followed.rows("select id from log") == [(9,)]
    applied = followed.applied()
    assert applied.changes == 15
    assert applied.transactions == 7 + 2 + 2  # two of them are markers
    assert follower.error is None


def test_what_was_in_the_copy_of_a_relation_is_not_applied_again(followed: Followed) -> None:
    followed.source.run("insert into one values (1)", "insert into log values (1)")
    copied_at = here(followed.source)
    followed.source.run("begin; insert into one values (2); insert into log values (2); commit")
    starts = {("public", "log"): copied_at}
    with followed.following(starts=starts) as follower:
        followed.catch_up(follower)
    assert followed.target.rows("select id from one order by 1") == [(1,), (2,)]
    assert followed.target.rows("select id from log") == [(2,)]


def test_transactions_of_this_run_are_not_followed_back(followed: Followed) -> None:
    """As its other direction writes them: its position comes first."""
    ours = "update windlass.applied set changes = changes + 1 where run = '{}'"
    with session(followed.source) as connection:
        for run in (RUN, "another"):
            journal.begin_applied(connection, run, Direction.BACK, 5)
    with followed.following() as follower:
        followed.source.run(
            f"begin; {ours.format(RUN)}; insert into one values (1); commit",
            f"begin; {ours.format('another')}; insert into one values (2); commit",
            f"begin; insert into one values (3); {ours.format(RUN)}; commit",
        )
        followed.catch_up(follower)
    assert followed.target.rows("select id from one order by 1") == [(2,), (3,)]


@pytest.mark.parametrize("rows", [30_000, 1_000_000])
def test_a_huge_transaction_takes_no_more_memory_than_others(followed: Followed, rows: int) -> None:
    counting = Counting()
    followed.make = lambda _: counting
    limits = Limits(rows=5_000, size_bytes=1 << 20)
    with followed.following(limits=limits) as follower:
        followed.source.run("insert into one values (0)")
        followed.catch_up(follower)
        before = counting.most_bytes = resident_bytes()
        followed.source.run(f"insert into one select generate_series(1, {rows}), 'label', 'body'")
        followed.catch_up(follower, 300)
    assert counting.rows == rows + 1
    assert counting.portions > rows // 20_000
    assert counting.most_bytes - before < 60_000_000
    applied = followed.applied()
    assert applied.changes == rows + 1
    assert applied.transactions == 4


class Counting:
    """Applies nothing, and counts."""

    def __init__(self) -> None:
        self.rows = self.portions = self.most_bytes = 0

    def apply(self, batch: Batch) -> None:
        self.rows += sum(type(one) is Insert for one in batch.changes)
        self.portions += not batch.is_whole
        self.most_bytes = max(self.most_bytes, resident_bytes())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_huge_transaction_is_one_on_the_target(followed: Followed) -> None:
    """It arrives in several portions; the first are not seen before the last."""
    gate = Gate(2)
    followed.make = gate.simple
    with followed.following(limits=Limits(rows=500, size_bytes=20_000)) as follower:
        followed.source.run(
            "insert into one select generate_series(1, 4000), repeat('x', 500)",
            "insert into other values (1)",
        )
        assert gate.reached.wait(30)
        assert followed.target.rows("select count(*) from one") == [(0,)]
        gate.opened.set()
        followed.catch_up(follower)
    assert followed.rows("select count(*), min(id), max(id) from one") == [(4_000, 1, 4_000)]
    assert followed.applied().transactions == 3


class Gate:
    """Stops before batch number `at`, until it is opened."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.reached, self.opened = threading.Event(), threading.Event()

    def simple(self, connection: Connection) -> Simple:
        gate = self

        class Gated(Simple):
            def apply(self, batch: Batch) -> None:
                gate.left -= 1
                if gate.left == 0:
                    gate.reached.set()
                    assert gate.opened.wait(60)
                super().apply(batch)

        return Gated(connection)


# the position, and what the source may forget


def confirmed(followed: Followed) -> int:
    with session(followed.source) as connection:
        found = slots.read_slot(connection, SLOT, side="source")
    assert found is not None
    assert found.confirmed_lsn is not None
    return found.confirmed_lsn


def test_an_idle_source_lets_its_log_go_while_a_neighbour_is_busy(
    followed: Followed, logical: Make
) -> None:
    other = logical(16)
    other.run("create table busy (id int)")
    with followed.following():
        other.run("insert into busy select generate_series(1, 10000)")
        at = here(followed.source)
        until(lambda: confirmed(followed) >= at, "the confirmation", 30)
    assert followed.applied().end_lsn >= at


def test_a_keepalive_confirms_nothing_that_waits_to_be_applied(followed: Followed) -> None:
    """pgcopydb loses such transactions (its issues 1033 and 1050)."""
    blocker = followed.target.connect()
    blocker.execute("begin; lock one")
    with followed.following():
        followed.source.run("insert into one values (1)", "insert into one values (2)")
        waits = "select count(*) from pg_locks where not granted"
        until(lambda: followed.target.value(waits), "the lock")
        waiting = here(followed.source)
        before = confirmed(followed)
        for _ in range(3):  # the server sends keepalives past them, and we answer
            followed.source.run("select pg_switch_wal()", "checkpoint")
            time.sleep(0.5)
        assert before <= confirmed(followed) < waiting
    blocker.close()
    with followed.following() as follower:
        followed.catch_up(follower)
    assert followed.rows("select id from one order by 1") == [(1,), (2,)]


def test_transactions_that_end_in_another_order_arrive_both(followed: Followed) -> None:
    """pgcopydb loses one of them (its issue 1044)."""
    with followed.source.connect() as early, followed.source.connect() as late:
        early.execute("begin; insert into one values (1)")
        late.execute("begin; insert into one values (2)")
        with followed.following() as follower:
            late.execute("commit")
            followed.catch_up(follower)
            assert followed.target.rows("select id from one") == [(2,)]
        early.execute("commit")
    with followed.following() as follower:
        followed.catch_up(follower)
    assert followed.rows("select id from one order by 1") == [(1,), (2,)]


def test_a_target_that_forgets_what_it_had_not_flushed_gets_it_again(
    logical: Make, own_server: Callable[..., Server]
) -> None:
    server = own_server(18, {"fsync": "on", "synchronous_commit": "off", **LAZY})
    followed = with_tables(Followed(logical(16), server.create_database()))
    with followed.following() as follower:
        followed.source.run("insert into one values (1)")
        followed.catch_up(follower)
        followed.source.run(*(f"insert into one values ({n})" for n in range(2, 50)))
        until(lambda: followed.target.value("select count(*) from one") == 49, "the rows")
        assert confirmed(followed) < follower.progress.end_lsn
        server.restart(signal.SIGKILL)
        kept = followed.target.value("select count(*) from one")
        assert kept < 49, "nothing was forgotten"
        followed.catch_up(follower)
        assert followed.rows("select count(*), sum(id) from one") == [(49, 1225)]


def test_a_target_that_is_older_than_what_was_confirmed_is_refused(followed: Followed) -> None:
    """As one that was restored from a backup: what lies between would never come."""
    before = followed.target.rows("select commit_lsn::text, end_lsn::text from windlass.applied")
    with followed.following() as follower:
        followed.source.run("insert into one values (1)")
        followed.catch_up(follower)
        end = follower.progress.end_lsn
        until(lambda: confirmed(followed) >= end, "the confirmation")
    ((commit_lsn, end_lsn),) = before
    followed.target.run(
        "delete from one",
        f"update windlass.applied set commit_lsn = '{commit_lsn}', end_lsn = '{end_lsn}'",
    )
    with followed.following() as follower:
        until(lambda: follower.error, "the refusal")
    assert isinstance(follower.error, SlotLost)
    assert "has lost changes" in str(follower.error)


def test_a_source_that_is_stopped_need_not_wait_for_us(
    logical: Make, own_server: Callable[..., Server]
) -> None:
    """A fast stop waits until each stream has confirmed all that there is."""
    server = own_server(16)
    followed = with_tables(Followed(server.create_database(), logical(18)))
    with followed.following() as follower:
        followed.source.run("insert into one values (1)")
        followed.catch_up(follower)
        began = time.monotonic()
        server.restart(signal.SIGINT)
        assert time.monotonic() - began < 20
        followed.source.run("insert into one values (2)")
        followed.catch_up(follower)
    assert followed.rows("select count(*) from one") == [(2,)]


# others


def test_the_last_of_two_followers_goes_on_and_the_first_stops(followed: Followed) -> None:
    with followed.following() as first, Writing(followed.source) as writing:
        until(lambda: first.progress.changes > 10, "the first")
        with followed.following() as second:
            until(lambda: first.error or second.error, "the end of one")
            until(lambda: second.progress.changes > first.progress.changes, "the second")
            writing.stop()
            followed.catch_up(second)
    assert isinstance(first.error, RunLost)
    assert second.error is None
    followed.rows("select id, count(*) from log group by id order by id")


def test_a_slot_that_is_gone_stops_the_follower(followed: Followed) -> None:
    with session(followed.source) as connection:
        slots.drop(connection, SLOT, side="source")
    with followed.following() as follower:
        until(lambda: follower.error, "the end")
    assert isinstance(follower.error, SlotLost)


def test_a_run_that_is_over_is_not_followed(followed: Followed) -> None:
    followed.target.run("delete from windlass.applied")
    with followed.following() as follower:
        until(lambda: follower.error, "the end")
    assert isinstance(follower.error, RunLost)


def test_a_server_that_stays_away_ends_the_follower(followed: Followed) -> None:
    followed.source_port = 1  # nobody listens there
    follower = Follower(followed, Rules(RUN, FORWARD), patience_seconds=0.5)
    follower.start()
    until(lambda: not follower.is_running, "the end", 30)
    assert isinstance(follower.error, ConnectionLost)


# markers, and where a stream begins


def test_markers_are_announced_once_with_their_numbers(followed: Followed) -> None:
    heard: list[int] = []

    def arrived(number: int) -> float:
        heard.append(number)
        return 12.5

    with followed.following(on_marker=arrived) as follower:
        for _ in range(3):
            followed.catch_up(follower)
    assert heard == [1, 2, 3]
    assert followed.applied().lag_ms == 12.5


def test_a_transaction_that_commits_where_the_slot_begins_is_applied(followed: Followed) -> None:
    """Its commit record may begin at the very position at which the slot is consistent."""
    followed.source.run("insert into one values (1)")
    with session(followed.target) as connection, connection.transaction():
        connection.execute("delete from windlass.applied")
        journal.begin_applied(connection, RUN, FORWARD, first_commit(followed))
    with followed.following() as follower:
        followed.catch_up(follower)
    assert followed.rows("select id from one") == [(1,)]


def first_commit(followed: Followed) -> int:
    """Where the commit record of the first transaction in the slot begins."""
    stream = followed.open_stream(NOWHERE)
    decoder = Decoder()
    try:
        while True:
            for message in map(decoder.decode, stream.read(1.0)):
                if isinstance(message, Commit):
                    return message.commit_lsn
    finally:
        stream.close()
