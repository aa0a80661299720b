"""Where a follower stops: at what it cannot apply, before a pause, after a seal; exactly there."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from awaiting import until
from following import Followed, Writing, address_of, here, with_tables
from servers import Database
from windlass.engines.postgres.replication import slots
from windlass.engines.postgres.session import Connection, Role
from windlass.errors import SchemaChanged
from windlass.model.following import Purpose

Make = Callable[[int], Database]


@pytest.fixture
def followed(logical: Make) -> Followed:
    """16 to 18, with tables on both sides that are published."""
    return with_tables(Followed(logical(16), logical(18)))


def test_it_stops_exactly_at_the_transaction_that_does_not_fit(followed: Followed) -> None:
    followed.target.run("insert into one values (3, 'mine')")
    followed.source.run(
        "begin; insert into one values (1); insert into one values (2); commit",
        "insert into other values (1)",
        "begin; insert into log values (7); insert into one values (3); commit",
        "insert into other values (2)",
    )
    with followed.following() as follower:
        until(lambda: follower.error, "the end")
    assert follower.error is not None
    assert "duplicate key" in str(follower.error)
    assert followed.target.rows("select id, label from one order by 1") == [
        (1, None),
        (2, None),
        (3, "mine"),
    ]
    assert followed.target.rows("select id from other") == [(1,)]
    assert followed.target.rows("select id from log") == []
    assert followed.applied().transactions == 2
    followed.target.run("delete from one where id = 3")
    with followed.following() as follower:
        followed.catch_up(follower)
    followed.rows("select id from one order by 1")
    followed.rows("select id from other order by 1")


def test_it_stops_exactly_where_the_schema_was_changed(followed: Followed) -> None:
    followed.source.run(
        "insert into one values (1)",
        "begin; insert into one values (2); insert into windlass.ddl (run, id, tag, objects,"
        " statement) values ('t', '1', 'ALTER TABLE', 'public.one', 'alter table one add x int');"
        " alter table one add x int; insert into one (id) values (3); commit",
        "insert into one values (4)",
    )
    with followed.following() as follower:
        until(lambda: follower.error, "the end")
    assert isinstance(follower.error, SchemaChanged)
    assert "alter table one add x int" in str(follower.error)
    assert followed.target.rows("select id from one") == [(1,)]


def test_a_pause_is_exact(followed: Followed) -> None:
    """Everything before the consistent point of a slot is applied, and nothing else."""
    with followed.following() as follower, Writing(followed.source) as writing:
        until(lambda: follower.progress.changes > 10, "a start")
        held = slots.create(
            address_of(followed.source), session_of(followed), "windlass test", "windlass_t_pause",
            is_temporary=True,
        )  # fmt: skip
        follower.pause(held.consistent_point)
        until(lambda: follower.is_paused, "the pause")
        with followed.source.connect() as reader:
            reader.execute("begin isolation level repeatable read")
            reader.execute(f"set transaction snapshot '{held.snapshot}'".encode())
            there = reader.execute("select id from log order by id").fetchall()
        assert followed.target.rows("select id from log order by id") == there
        held.release()
        assert writing.written > len(there)
        follower.resume()
        writing.stop()
        followed.catch_up(follower)
    followed.rows("select id from log order by id")


def session_of(followed: Followed) -> Connection:
    return address_of(followed.source).connect(Role.SOURCE, "windlass test")


def test_a_pause_on_an_idle_source_is_reached(followed: Followed) -> None:
    with followed.following() as follower:
        follower.pause(here(followed.source))
        followed.source.run("select pg_switch_wal()", "checkpoint")
        until(lambda: follower.is_paused, "the pause", 30)
        followed.source.run("insert into one values (1)")
        follower.resume()
        assert not follower.is_paused
        followed.catch_up(follower)
    assert followed.rows("select id from one") == [(1,)]


def test_nothing_of_others_is_applied_after_a_seal(followed: Followed) -> None:
    with followed.following() as follower:
        followed.source.run("insert into one values (1)")
        first = followed.mark(Purpose.SEAL)
        until(lambda: follower.progress.marker >= first, "the seal")
        second = followed.mark(Purpose.SEAL)
        until(lambda: follower.progress.marker >= second, "the second seal")
        assert follower.is_sealed
        assert followed.applied().late is None
        followed.source.run("insert into log values (5)")
        third = followed.mark(Purpose.SEAL)
        until(lambda: followed.applied().late, "the late write")
        late = followed.applied().late
        assert late is not None
        assert late["relation"] == "public.log"
        assert follower.progress.marker == second
        assert followed.target.rows("select id from log") == []
        follower.unseal()
        until(lambda: follower.progress.marker >= third, "what was held")
        assert followed.applied().late is None
        assert followed.rows("select id from log") == [(5,)]


def test_a_follower_that_begins_sealed_applies_only_markers(followed: Followed) -> None:
    with followed.following(is_sealed=True) as follower:
        followed.catch_up(follower)
        followed.source.run("insert into one values (1)")
        until(lambda: followed.applied().late, "the stray write")
        assert followed.target.rows("select id from one") == []


def test_a_follower_that_waits_for_a_lock_can_be_stopped(followed: Followed) -> None:
    with followed.target.connect() as blocker:
        blocker.execute("begin; lock one")
        follower = followed.follower()
        follower.start()
        followed.source.run("insert into one values (1)")
        waits = "select count(*) from pg_locks where not granted"
        until(lambda: followed.target.value(waits), "the lock")
        began = time.monotonic()
        follower.stop()
        assert time.monotonic() - began < 30
    assert not follower.is_running
    assert followed.target.rows("select id from one") == []
    assert followed.applied().transactions == 0
