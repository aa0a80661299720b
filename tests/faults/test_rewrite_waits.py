"""A rewrite on a table that others use: nobody waits long for it, and it waits for nobody long."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from awaiting import until
from command import DONE, finish, start, windlass
from rewrites import (
    PRODUCT,
    STEPS,
    done,
    fill,
    left_over,
    problems,
    rows,
    run,
    spec,
    steps,
    write_spec,
)
from servers import FAST, Database, Server
from standbys import standby_of
from windlass.api import rewrite, rollback
from windlass.errors import BadSpec, WindlassError
from windlass.model.event import Event, Noticed, ignore
from windlass.model.outcome import Outcome, State

Make = Callable[[int], Database]
DOUBLED: dict[str, Any] = {"set": {"total": {"sql": "total + 1000"}}, "commit_rows": 4}
LOCKED = "left, as others had locked them"
KEPT = "left, as a trigger kept them"
GATED = """
create function wait_at_gate() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(4711);
    return new;
end $$;
create trigger at_gate before update on message
    for each row when (old.message_id >= 20) execute function wait_at_gate();
"""


@pytest.fixture
def messages(database: Make) -> Database:
    """With the column that is set: adding one would wait for others' transactions."""
    found = fill(database(16))
    found.run("alter table message add product_id text")
    return found


@contextmanager
def open_transaction(database: Database, *statements: str) -> Iterator[Any]:
    """One that others have left open, after these statements."""
    with database.connect() as connection:
        connection.execute("begin")
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.execute("commit")


@contextmanager
def in_background(database: Database, words: dict[str, Any]) -> Iterator[Future[Outcome]]:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, database, words)
        yield running
    running.result()


# others' locks


def test_rows_that_others_have_locked_are_left_counted_and_found_by_the_next_run(
    messages: Database,
) -> None:
    with open_transaction(messages, "select from message where message_id = 10 for update"):
        outcome = done(messages)
    assert (outcome.totals.counts["written"], outcome.totals.counts[LOCKED]) == (19, 1)
    assert outcome.totals.counts["left, as others changed them"] == 0
    assert "1 row left, as others had locked them: the next run finds them" in outcome.notices
    assert done(messages).totals.counts["written"] == 1


def test_a_row_that_is_locked_for_a_moment_is_written_by_the_same_run(messages: Database) -> None:
    done(messages, {**PRODUCT, "select": "false"})  # makes the journal
    locking = open_transaction(messages, "select from message where message_id = 10 for update")
    with locking as app, in_background(messages, PRODUCT) as found:
        until(
            lambda: messages.value("select count(*) from windlass.line where note->>'locked' = '1'")
        )
        app.execute("commit")
        app.execute("begin")
    assert found.result().totals.counts["written"] == 20


def test_the_application_is_never_the_victim_of_a_deadlock(messages: Database) -> None:
    locking = open_transaction(messages, "update message set body = 'x' where message_id = 40")
    with locking as app, in_background(messages, {**PRODUCT, "commit_rows": 1000}) as found:
        ours = "datname = current_database() and application_name like 'windlass rewrite%'"
        waits = f"select count(*) from pg_stat_activity where {ours} and wait_event_type = 'Lock'"
        until(lambda: found.done() or messages.value(waits))
        app.execute("set local lock_timeout to '1s'")
        for number in range(2, 40, 2):
            app.execute(f"update message set total = 0 where message_id = {number}".encode())
        app.execute("commit")
        app.execute("begin")
    assert found.result().state is State.DONE


def test_a_session_that_waits_for_a_row_of_ours_waits_less_than_a_second(
    messages: Database,
) -> None:
    """While others hold some rows, and change others."""
    messages.run(
        "insert into message select n, 'base', 'body', 0, '9999-12-31'"
        " from generate_series(101, 4100) n",
        "analyze message",
    )
    locking = open_transaction(messages, "select from message where message_id = 4000 for update")
    with locking, in_background(messages, {**PRODUCT, "commit_rows": 500}) as found:
        changed = 0
        with messages.connect() as app:
            app.execute("set lock_timeout to '1s'")
            while not found.done():
                changed += 1
                number = 101 + changed % 3000
                app.execute(f"update message set total = 1 where message_id = {number}".encode())
    assert found.result().totals.counts[LOCKED] == 1
    assert changed > 0
    counts = found.result().totals.counts
    assert counts["written"] + counts["left, as others changed them"] == 4019


def test_a_reader_of_the_backup_does_not_stop_a_run(messages: Database) -> None:
    first = done(messages).run
    with open_transaction(messages, "select count(*) from backup.message"):
        second = done(messages, {**PRODUCT, "select": "true"})
        assert any(f"backup.windlass_{second.run}" in notice for notice in second.notices)
        assert second.totals.counts["written"] == 40
    assert f"by windlass run {first}." in messages.value(
        "select obj_description('backup.message'::regclass)"
    )
    undone = rollback(messages.url, second.run, ignore)
    assert undone.state is State.ROLLED_BACK, undone.reason.problems
    third = done(messages, {**PRODUCT, "select": "true"})
    assert f"by windlass run {third.run}." in messages.value(
        "select obj_description('backup.message'::regclass)"
    )
    assert left_over(messages) == []


def test_rows_to_delete_that_others_have_locked_stay(messages: Database) -> None:
    words = {**PRODUCT, "delete": "all_with_key", "select": "message_id in (2, 6)"}
    with open_transaction(messages, "select from message where message_id = 5 for update"):
        outcome = done(messages, words)
    assert (outcome.totals.counts["others deleted"], outcome.totals.counts[LOCKED]) == (4, 1)
    assert rows(messages, "message_id", "message_id < 9") == [(2,), (5,), (6,), (8,)]


# stamps that cannot be written


def test_a_stamp_without_a_partition_never_has_the_change_applied_twice(
    database: Make,
) -> None:
    messages = database(16)
    messages.run(
        "create table message (message_id int, base text, body text, total int, exported_at"
        " timestamp default '9999-12-31') partition by range (exported_at)",
        "create table p partition of message for values from ('9000-01-01') to (maxvalue)",
        "insert into message values (1, 'base', 'x', 0)",
    )
    for number in range(3):
        with pytest.raises(WindlassError, match='no partition of relation "message" found'):
            steps(
                messages,
                STEPS[0],
                STEPS[-1],
                {"set": {"body": {"sql": "body || '!'"}}},
                f"airflow migrate_to_db run_{number}",
            )
    assert rows(messages, "body") == [("x",)]


@pytest.mark.parametrize(
    ("when", "does"),
    [
        ("before", "new.exported_at := '9999-12-31'; return new;"),
        (
            "after",
            "update message set exported_at = '9999-12-31' where message_id = new.message_id;"
            " return null;",
        ),
    ],
)
def test_a_trigger_that_puts_what_changes_back_into_the_queue_does_not_keep_it_there(
    when: str, does: str, messages: Database
) -> None:
    messages.run(
        f"create function requeue() returns trigger language plpgsql as $$ begin {does} end $$",
        f"create trigger requeue {when} update on message for each row"
        " when (new.body is distinct from old.body) execute function requeue()",
    )
    outcome = done(messages, {"set": {"body": {"sql": "body || '!'"}}, "commit_rows": 7})
    assert (outcome.totals.counts["written"], outcome.totals.counts["stamped"]) == (20, 20)
    assert done(messages, {"set": {"body": {"sql": "body || '!'"}}}).totals.counts["selected"] == 0
    assert rows(messages, "body", "message_id = 2") == [("body 2!",)]


def test_a_trigger_that_never_lets_a_row_be_stamped_is_named_and_nothing_is_written(
    messages: Database,
) -> None:
    messages.run(
        "create function requeue() returns trigger language plpgsql as"
        " $$ begin new.exported_at := '9999-12-31'; return new; end $$",
        "create trigger requeue before update on message for each row"
        " when (old.message_id = 8) execute function requeue()",
    )
    before = rows(messages)
    outcome = run(messages, {"set": {"body": {"sql": "body || '!'"}}})
    assert outcome.state is State.STOPPED
    assert "a trigger of public.message resets it in 1 row" in outcome.reason.message
    assert rows(messages) == before


def test_a_trigger_that_swallows_rows_is_named(messages: Database) -> None:
    messages.run(
        "create function swallow() returns trigger language plpgsql as"
        " $$ begin return null; end $$",
        "create trigger swallows before update on message for each row"
        " when (old.message_id = 8) execute function swallow()",
    )
    outcome = done(messages)
    assert (outcome.totals.counts["written"], outcome.totals.counts[KEPT]) == (19, 1)
    assert outcome.totals.counts["left, as others changed them"] == 0
    assert any("BEFORE trigger of public.message" in one and "swallows" in one
               for one in outcome.notices)  # fmt: skip


# batches


def test_killed_between_batches_the_same_command_changes_each_row_once(
    messages: Database, tmp_path: Path
) -> None:
    before = rows(messages)
    messages.run(GATED)
    words = "set: {total: {sql: total + 1000}}\ncommit_rows: 4\nbackup: touched\n"
    file = write_spec(tmp_path, words)
    env = {"WINDLASS_TARGET": messages.url}
    with messages.connect() as gate:
        gate.execute("select pg_advisory_lock(4711)")
        process = start("rewrite", "-f", str(file), env=env)
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        until(lambda: messages.value(waiting))
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)
        written = messages.value("select count(*) from message where total > 1000")
    assert 0 < written < 20
    stamped = "select count(*) from message where total > 1000 and exported_at < '9999-12-31'"
    assert messages.value(stamped) == written
    windlass("rewrite", "-f", str(file), env=env).expect(DONE)
    once = [(*row[:3], row[3] + 1000) if row[0] % 2 == 0 else row[:4] for row in before]
    assert rows(messages, "message_id, base, body, total") == once
    assert messages.value("select count(*) from message where exported_at = '9999-12-31'") == 0
    assert left_over(messages) == []
    undone = rollback(messages.url, messages.value("select run from windlass.run"), ignore)
    assert undone.state is State.ROLLED_BACK, undone.reason.problems
    assert rows(messages) == before


def test_a_run_that_fails_after_some_batches_keeps_those_and_the_next_takes_the_others(
    messages: Database,
) -> None:
    messages.run("alter table message add check (total < 1000 or message_id <> 30)")
    outcome = run(messages, DOUBLED)
    assert outcome.state is State.STOPPED and "message_check" in outcome.reason.message, outcome
    written = messages.value("select count(*) from message where total >= 1000")
    assert 0 < written < 20
    messages.run("update message set exported_at = '2026-01-01' where message_id = 30")
    outcome = done(messages, DOUBLED)
    assert outcome.totals.counts["written"] == 19 - written
    assert messages.value("select max(total) < 2000 from message")
    assert left_over(messages) == []


def test_without_a_stamp_a_run_that_fails_after_some_batches_is_resumed_not_started_over(
    messages: Database,
) -> None:
    words = {**DOUBLED, "stamp": None}
    messages.run("alter table message add constraint low check (total < 1000 or message_id <> 30)")
    assert run(messages, words).state is State.STOPPED
    assert run(messages, words).state is State.STOPPED
    messages.run("alter table message drop constraint low")
    assert done(messages, words).totals.counts["written"] == 20
    assert messages.rows("select distinct div(total, 1000) from message order by 1") == [(0,), (1,)]


def test_what_is_half_written_can_be_undone(messages: Database) -> None:
    before = rows(messages)
    messages.run("alter table message add constraint low check (total < 1000 or message_id <> 30)")
    outcome = run(messages, {**DOUBLED, "stamp": None, "backup": "touched"})
    messages.run("update message set body = 'theirs' where message_id = 40")
    undone = rollback(messages.url, outcome.run, ignore)
    assert undone.state is State.ROLLED_BACK, undone.reason.problems
    assert rows(messages, where="message_id < 40") == before[:-1]
    assert rows(messages, "body", "message_id = 40") == [("theirs",)]


def test_a_limit_leaves_the_others_to_the_next_runs(messages: Database) -> None:
    words = {**PRODUCT, "limit_rows": 8}
    assert [done(messages, words).totals.counts["written"] for _ in range(4)] == [8, 8, 4, 0]


def test_pauses_come_between_batches(messages: Database) -> None:
    words = {**PRODUCT, "commit_rows": 5, "pause_seconds": 0.2}
    assert done(messages, words).seconds > 0.6


# how fast


def following(primary: Server) -> Server:
    """A standby that replays everything half a second late."""
    follows = f"host={primary.folder} port={primary.port} user=postgres"
    late = {"primary_conninfo": follows, "recovery_min_apply_delay": "500ms"}
    return standby_of(primary, {**FAST, **late})


def test_a_standby_that_lags_behind_is_waited_for(own_server: Callable[..., Server]) -> None:
    primary = own_server(16)
    messages = fill(primary.create_database())
    messages.run("alter table message add product_id text")
    standby = following(primary)
    try:

        def lags() -> object:
            messages.run("create table if not exists wal (n int)", "insert into wal values (1)")
            query = "select count(*) from pg_stat_replication where replay_lag > interval '0.4 s'"
            return messages.value(query)

        waits = threading.Event()

        def note(event: Event) -> None:
            if isinstance(event, Noticed) and "behind: writing waits until" in event.message:
                waits.set()

        def write_until_it_waits() -> None:
            while not waits.is_set():
                lags()

        until(lags)
        writer = threading.Thread(target=write_until_it_waits)
        writer.start()
        try:
            outcome = rewrite(spec(messages, {**PRODUCT, "max_lag_seconds": 0.3}), note)
        finally:
            waits.set()
            writer.join()
        assert outcome.state is State.DONE, outcome
        assert any("behind: writing waits until" in one for one in outcome.notices)
        assert outcome.totals.counts["written"] == 20
    finally:
        standby.remove()


def test_a_lag_that_this_user_cannot_see_is_refused(messages: Database) -> None:
    messages.run("create role nobody_special login", "grant all on message to nobody_special")
    messages.run("alter role nobody_special password 'x'")
    try:
        url = f"postgresql://nobody_special:x@127.0.0.1:{messages.server.port}/{messages.name}"
        said = problems(messages, {**PRODUCT, "connection": url, "max_lag_seconds": 1})
        assert "max-lag-seconds: this user may not see how far standbys are behind" in said
    finally:
        messages.run("drop owned by nobody_special", "drop role nobody_special")


def test_a_limit_is_refused_where_rows_are_deleted(messages: Database) -> None:
    for words in ({"drop_duplicates": True}, {"delete": "all_with_key"}):
        with pytest.raises(BadSpec, match="limit-rows"):
            spec(messages, {**PRODUCT, **words, "limit_rows": 5})
