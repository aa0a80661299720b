"""A run that waits for a lock reports the blocker: real locks, held until the notice appears."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from command import DONE, INTERRUPTED, finish, migrate, start
from locking import SECONDS, blocked_by, holding, noticed
from servers import PASSWORD, Pair


@pytest.fixture
def rows(pair: Pair) -> Pair:
    pair.source.run("create table t (id int primary key, v text)", "insert into t values (1, 'x')")
    return pair


@pytest.mark.parametrize("command", ["plan", "migrate", "verify"])
def test_a_lock_on_a_table_of_the_source_is_reported_with_who_holds_it(
    rows: Pair, command: str
) -> None:
    if command == "verify":
        migrate(rows).expect(DONE)
    with holding(rows.source, "lock table t in access exclusive mode") as other:
        process = start(command, pair=rows)
        line = noticed(process, "waiting for a lock")
        assert f"source: waiting for a lock on public.t, {blocked_by(other)}" in line
    ran = finish(process).expect(DONE)
    assert ran.stderr.count("waiting for a lock") == 1


@pytest.mark.parametrize("pair", [(13, 18)], indirect=True)
def test_what_only_pg_dump_waits_for_is_reported_too(rows: Pair) -> None:
    with holding(rows.source, "lock table pg_init_privs") as other:  # which only pg_dump reads
        process = start("plan", pair=rows)
        line = noticed(process, "waiting for a lock")
        assert (
            f"source: waiting for a lock on pg_catalog.pg_init_privs, {blocked_by(other)}" in line
        )
    finish(process).expect(DONE)


def test_a_reader_of_the_target_that_keeps_definitions_waiting_is_reported(rows: Pair) -> None:
    rows.target.run("create table t (id int primary key, v text)")
    with holding(rows.target, "select from t") as other:
        process = start("migrate", "--existing", "replace", "--json", pair=rows)
        line = noticed(process, "waiting for a lock")
        assert f"target: waiting for a lock on public.t, {blocked_by(other)}" in line
    notices = finish(process).expect(DONE).result["notices"]
    assert [one for one in notices if "nightly job" in one]


def test_the_watch_survives_the_loss_of_its_session(rows: Pair) -> None:
    ours = (
        "select pid from pg_stat_activity where application_name = 'windlass lock watch'"
        " and datname = current_database()"
    )
    with holding(rows.source, "lock table t in access exclusive mode"):
        process = start("plan", pair=rows)
        noticed(process, "waiting for a lock")
        [(pid,)] = rows.source.rows(ours)
        rows.source.value("select pg_terminate_backend(%s)", [pid])
        deadline = time.monotonic() + SECONDS
        while rows.source.rows(ours) in ([], [(pid,)]):
            assert time.monotonic() < deadline and process.poll() is None, "no new session"
            time.sleep(0.01)
    finish(process).expect(DONE)


def test_quiet_commands_say_nothing_of_it(rows: Pair) -> None:
    waiting = (
        "select 1 from pg_stat_activity where application_name = 'windlass lock watch'"
        " and datname = current_database() and query ~ 'Sessions of (Windlass|others)'"
        " and query_start > %s::timestamptz + interval '3 seconds'"
    )
    with holding(rows.source, "lock table t in access exclusive mode") as other:
        begun = other.execute("select now()").fetchone()
        assert begun is not None
        process = start("migrate", "-q", pair=rows)
        deadline = time.monotonic() + SECONDS
        while not rows.source.rows(waiting, begun):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
    assert "waiting for a lock" not in finish(process).expect(DONE).said


def test_a_prepared_transaction_is_named_as_one(rows: Pair) -> None:
    with rows.source.connect() as other:
        other.execute("begin")
        other.execute("lock table t in access exclusive mode")
        other.execute("prepare transaction 'left open'")
        process = start("plan", pair=rows)
        try:
            line = noticed(process, "waiting for a lock")
        finally:
            other.execute("rollback prepared 'left open'")
    assert "public.t, blocked by a prepared transaction (see pg_prepared_xacts)" in line
    finish(process).expect(DONE)


@pytest.fixture
def reader(rows: Pair) -> Iterator[str]:
    """Sees of other users' sessions what everybody sees."""
    rows.source.run(
        f"create role lock_reader login password '{PASSWORD}'", "grant select on t to lock_reader"
    )
    yield rows.source.url_for("lock_reader")
    rows.source.run("drop owned by lock_reader", "drop role lock_reader")


def test_a_role_that_sees_little_of_others_learns_who_blocks_it(rows: Pair, reader: str) -> None:
    with holding(rows.source, "lock table t in access exclusive mode") as other:
        process = start("plan", pair=rows, env={"WINDLASS_SOURCE": reader})
        line = noticed(process, "waiting for a lock")
        who = f"blocked by pid {other.info.backend_pid} (nightly job, user postgres)"
        assert f"waiting for a lock on public.t, {who}" in line
    finish(process).expect(DONE)


def test_nobody_watches_where_the_run_may_need_the_session_itself(rows: Pair, reader: str) -> None:
    rows.source.run("alter role lock_reader connection limit 5")
    with holding(rows.source, "lock table t in access exclusive mode"):
        process = start("plan", "-v", "--jobs", "1", pair=rows, env={"WINDLASS_SOURCE": reader})
        said = "side=source lock watch: room for 5 sessions, and the run may need 5"
        assert said in noticed(process, "lock watch: room")
    assert "waiting for a lock" not in finish(process).expect(DONE).said


def test_another_run_of_windlass_is_named_as_well(rows: Pair) -> None:
    with rows.source.connect(application_name="windlass 20200101_0000_abcd") as other:
        other.execute("begin")
        other.execute("lock table t in access exclusive mode")
        process = start("plan", pair=rows)
        line = noticed(process, "waiting for a lock")
        assert f"blocked by pid {other.info.backend_pid} (windlass 20200101_0000_abcd" in line
        other.execute("rollback")
    finish(process).expect(DONE)


def test_an_interrupted_command_that_waits_ends_at_once(rows: Pair) -> None:
    with holding(rows.source, "lock table t in access exclusive mode"):
        process = start("migrate", pair=rows)
        noticed(process, "waiting for a lock")
        process.send_signal(signal.SIGINT)
        finish(process).expect(INTERRUPTED)
