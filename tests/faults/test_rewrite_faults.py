"""A rewrite that is killed, runs while others change the table, or runs twice at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from awaiting import until
from command import DONE, REFUSED, finish, start, windlass
from rewrites import (
    PRODUCT,
    STEPS,
    done,
    fill,
    left_over,
    problems,
    rows,
    spec,
    step,
    steps,
    write_spec,
)
from servers import Database
from windlass.api import rollback
from windlass.engines.postgres.session import Connection
from windlass.errors import ConnectionLost, Refused, WindlassError
from windlass.flows.rewrite.context import Rewriting
from windlass.flows.rewrite.outline import REWRITE
from windlass.flows.rewrite.steps import read_rows, settle
from windlass.model.event import ignore
from windlass.model.flow import ONE, Result, resolve
from windlass.model.outcome import StartedBy, State

Make = Callable[[int], Database]
SECONDS = 20.0
# Each gate is an advisory lock: who comes to it waits as long as a test holds it.
GATES = """
create function gate(number int) returns boolean volatile language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(4711, number);
    return true;
end $$;
create function pass_gate() returns trigger volatile language plpgsql as $$
begin
    perform gate(tg_argv[0]::int);
    return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger deleting before delete on message for each row execute function pass_gate(3);
create trigger writing before update of body on message
    for each row execute function pass_gate(5);
create trigger stamping before update of exported_at on message
    for each row execute function pass_gate(7);
create function pass_ddl() returns event_trigger volatile language plpgsql as $$
begin
    if current_query() like '%"windlass\\_%' and tg_tag = 'CREATE TABLE AS' then
        perform public.gate(2);
    elsif current_query() like '%"windlass\\_%' and tg_tag = 'ALTER TABLE' then
        perform public.gate(6);
    elsif current_query() like '%add column%' then
        perform public.gate(4);
    end if;
end $$;
create event trigger ddl on ddl_command_start execute function pass_ddl();
insert into message select n, 'base 1', 'body 2', 0, '9999-12-31' from generate_series(101, 104) n;
insert into message values (200, 'alone', 'x', 0, '2026-01-01');
"""
WORDS = """
select: exported_at = '9999-12-31' and public.gate(0)
set: {body: {sql: "case when public.gate(1) then upper(body) end"}}
add: {product_id: {value: ABCD}}
drop_duplicates: [base, body]
delete: all_with_key
"""
AT = {
    "read_rows": 0,
    "change_rows": 1,
    "copying the backup": 2,
    "delete_rows": 3,
    "adding the column": 4,
    "write_rows": 5,
    "stamping": 7,
    "swapping the backup": 6,
}


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


@pytest.fixture
def gated(database: Make) -> Database:
    found = fill(database(16))
    found.run(GATES)
    return found


@contextmanager
def closed(database: Database, gate: int) -> Iterator[None]:
    """Nobody passes this gate while the block runs."""
    with database.connect() as connection:
        connection.execute("select pg_advisory_lock(4711, %s)", (gate,))
        yield


def wait_at_gate(database: Database) -> None:
    query = "select count(*) from pg_locks where classid = 4711 and not granted"
    until(lambda: database.value(query))


def kill_at(database: Database, gate: int, file: Path) -> None:
    """The command, until it comes to the gate."""
    with closed(database, gate):
        process = start("rewrite", "-f", str(file), env={"WINDLASS_TARGET": database.url})
        try:
            wait_at_gate(database)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            assert finish(process).code == -signal.SIGKILL


def content(database: Database) -> list[tuple[object, ...]]:
    """All that does not depend on the hour."""
    return rows(database, "message_id, base, body, total, product_id, exported_at < now()")


def test_killed_in_every_step_the_same_command_ends_as_if_undisturbed(
    gated: Database, database: Make, tmp_path: Path
) -> None:
    """The same command again and again, killed one step later each time."""
    file = write_spec(tmp_path, WORDS)
    for gate in AT.values():
        kill_at(gated, gate, file)
    windlass("rewrite", "-f", str(file), env={"WINDLASS_TARGET": gated.url}).expect(DONE)
    other = fill(database(16))
    other.run(GATES)
    windlass("rewrite", "-f", str(file), env={"WINDLASS_TARGET": other.url}).expect(DONE)
    assert content(gated) == content(other)
    backup = "select * from backup.message order by 1"
    assert gated.rows(backup) == other.rows(backup)
    assert left_over(gated) == []
    # a run that had changed nothing was started over each time
    assert gated.value("select count(*) from windlass.run where state = 'done'") == 1
    assert gated.value("select count(*) from windlass.run where state = 'running'") == 0


@pytest.mark.parametrize("place", ["change_rows", "delete_rows", "swapping the backup"])
def test_what_was_killed_is_finished_or_dropped_by_the_next_whatever_that_is(
    place: str, gated: Database, tmp_path: Path
) -> None:
    before = unstamped(gated)
    kill_at(gated, AT[place], write_spec(tmp_path, WORDS))
    outcome = done(gated, {"select": "message_id = 200", "set": {"total": {"value": 5}}})
    assert outcome.totals.counts["written"] == 1
    assert left_over(gated) == []
    if AT[place] < AT["adding the column"]:  # no row was deleted
        assert unstamped(gated) == before
    else:
        assert gated.value("select count(*) from message where body = upper(body)") == 21


def unstamped(database: Database) -> list[tuple[object, ...]]:
    return rows(database, "message_id, base, body, total, exported_at", "message_id < 200")


def test_what_was_abandoned_half_way_can_be_undone(gated: Database, tmp_path: Path) -> None:
    before = rows(gated)
    kill_at(gated, AT["write_rows"], write_spec(tmp_path, WORDS))
    name = gated.value("select run from windlass.run")
    undone = rollback(gated.url, name, ignore)
    assert undone.state is State.ROLLED_BACK, undone.reason.problems
    assert rows(gated) == before
    assert left_over(gated) == []


def test_ctrl_c_is_reported_and_the_same_command_resumes(gated: Database, tmp_path: Path) -> None:
    file = write_spec(tmp_path, WORDS)
    with closed(gated, AT["write_rows"]):
        process = start("rewrite", "-f", str(file), env={"WINDLASS_TARGET": gated.url})
        wait_at_gate(gated)
        process.send_signal(signal.SIGINT)
        ran = finish(process)
    ran.expect(130)
    assert "windlass rewrite" in ran.said
    windlass("rewrite", "-f", str(file), env={"WINDLASS_TARGET": gated.url}).expect(DONE)


# others at the same table


@pytest.mark.parametrize("last", STEPS[:-2])
def test_rows_that_others_change_before_the_write_are_left_as_they_made_them(
    last: str, messages: Database
) -> None:
    words = {**PRODUCT, "backup": "touched"}
    steps(messages, STEPS[0], last, words)
    messages.run(
        "update message set body = 'theirs' where message_id = 2",
        "delete from message where message_id = 4",
        "insert into message values (98, 'base 0', 'new', 0, '9999-12-31')",
        "update message set body = 'back again' where message_id = 6",
        "update message set body = 'body 6' where message_id = 6",
    )
    steps(messages, STEPS[STEPS.index(last) + 1], STEPS[-2], words)
    result = step(messages, STEPS[-1], words)
    assert (result["written"], result["left_as_others_changed_them"]) == (17, 3)
    assert rows(messages, "body, product_id", "message_id in (2, 4, 98)") == [
        ("theirs", None),
        ("new", None),
    ]
    assert messages.value("select count(*) from backup.message") == 17
    assert done(messages, words).totals.counts["written"] == 3  # 2, 6 and 98
    assert messages.value("select count(*) from message where product_id is null") == 20


def test_rows_with_the_key_that_arrive_or_change_during_the_run_are_not_deleted(
    messages: Database,
) -> None:
    words = {**PRODUCT, "delete": "all_with_key", "select": "message_id = 2"}
    steps(messages, STEPS[0], "back_up_rows", words)
    messages.run(
        "update message set body = 'theirs' where message_id = 1",
        "insert into message values (98, 'base 0', 'new', 0, '2026-01-01')",
    )
    result = steps(messages, "delete_rows", STEPS[-1], words)
    assert result["others_deleted"] == 1
    assert rows(messages, "message_id", "base = 'base 0'") == [(1,), (2,), (98,)]


def test_a_duplicate_stays_where_the_one_that_was_to_be_kept_is_gone(messages: Database) -> None:
    words = {**PRODUCT, "drop_duplicates": ["base"], "select": "base = 'base 1'"}
    steps(messages, STEPS[0], "back_up_rows", words)
    messages.run("delete from message where message_id = 4")
    steps(messages, "delete_rows", STEPS[-1], words)
    assert rows(messages, "message_id", "base = 'base 1'") == [(5,), (6,), (7,)]


def test_a_row_that_is_put_back_into_the_queue_after_it_was_written_is_found_by_the_next_run(
    messages: Database,
) -> None:
    steps(messages, STEPS[0], "write_rows")
    messages.run(
        "update message set body = 'theirs', exported_at = '9999-12-31' where message_id = 2",
        "update message set exported_at = '2027-01-01' where message_id = 4",
        "delete from message where message_id = 6",
        "vacuum message",
        "insert into message values (98, 'base 0', 'new', 0, '9999-12-31')",
    )
    result = step(messages, STEPS[-1])
    assert (result["written"], result["stamped"]) == (20, 20)
    assert rows(messages, "message_id", "exported_at = '9999-12-31'") == [(2,), (98,)]
    assert rows(messages, "exported_at::date::text", "message_id = 4") == [("2027-01-01",)]
    assert done(messages, {"set": {"body": {"sql": "upper(body)"}}}).totals.counts["written"] == 2
    assert rows(messages, "body", "message_id = 2") == [("THEIRS",)]


def test_readers_never_see_the_table_without_the_rows(messages: Database) -> None:
    """Whoever looks, after every step and in the middle of each: all rows, in their places, where
    who deletes and inserts would have had to take them out before."""
    messages.run(
        "create table seen (told text, rows bigint)",
        "create function look() returns trigger language plpgsql security definer as $$ begin"
        " insert into seen select tg_op, count(*) from message; return null; end $$",
        "create trigger looking after insert or update or delete or truncate on message"
        " for each statement execute function look()",
    )
    for name in STEPS:
        step(messages, name)
        assert len(rows(messages)) == 40
    reported = "select told, count(*), min(rows) from seen group by 1"
    assert messages.rows(reported) == [("UPDATE", 1, 40)]


def test_a_column_is_added_without_a_queue_behind_it(messages: Database) -> None:
    """Somebody reads for long: we wait for the table, and nobody waits for us for long."""
    steps(messages, STEPS[0], "delete_rows")
    with messages.connect() as reader:
        reader.execute("begin")
        reader.execute("select count(*) from message")
        writing = threading.Thread(target=step, args=(messages, "write_rows"))
        writing.start()
        query = "select count(*) from pg_stat_activity where query like 'alter table%add column%'"
        until(lambda: messages.value(query))
        messages.run(
            "set statement_timeout to '5s'",
            "update message set total = 0 where message_id = 1",
        )
        reader.execute("commit")
        writing.join()
    assert step(messages, STEPS[-1])["written"] == 20


# two runs


def test_the_second_of_two_at_once_is_refused_naming_the_first(
    gated: Database, tmp_path: Path
) -> None:
    file = write_spec(tmp_path, WORDS)
    with closed(gated, AT["write_rows"]):
        process = start("rewrite", "-f", str(file), env={"WINDLASS_TARGET": gated.url})
        wait_at_gate(gated)
        name = gated.value("select run from windlass.run")
        ran = windlass("rewrite", "-f", str(file), env={"WINDLASS_TARGET": gated.url})
        ran.expect(REFUSED)
        assert name in ran.said
        undone = rollback(gated.url, name, ignore)
        assert undone.state is State.REFUSED
    finish(process).expect(DONE)


def test_a_run_between_two_of_its_steps_does_not_count_as_abandoned(
    messages: Database,
) -> None:
    steps(messages, STEPS[0], "back_up_rows")
    assert "airflow migrate_to_db run_1" in problems(messages)
    with pytest.raises(Refused):
        step(messages, STEPS[0], external_run="airflow another_dag run_1")
    assert steps(messages, "delete_rows", STEPS[-1])["written"] == 20


def test_a_group_between_two_of_its_steps_does_not_count_as_abandoned_in_its_own_dag_run(
    messages: Database,
) -> None:
    first, second = (f"airflow nightly tonight {group}" for group in ("first", "second"))
    steps(messages, STEPS[0], "back_up_rows", external_run=first)
    with pytest.raises(Refused) as caught:
        step(messages, STEPS[0], external_run=second)
    assert first in str(*caught.value.problems)
    result = steps(messages, "delete_rows", STEPS[-1], external_run=first)
    assert result["written"] == 20


def test_the_last_step_of_a_scheduler_s_run_reports_how_long_all_of_it_took(
    messages: Database,
) -> None:
    steps(messages, STEPS[0], STEPS[-2])
    messages.run("update windlass.run set started_at = started_at - interval '1 hour'")
    started_by = StartedBy("airflow migrate_to_db run_1")
    with Rewriting(spec(messages, PRODUCT), started_by=started_by) as context:
        resolve(REWRITE.step(STEPS[-1]).run)(context, ONE)
        assert context.outcome(State.DONE).seconds > 3600


@pytest.mark.parametrize("last", ["back_up_rows", STEPS[-1]], ids=["unfinished", "done"])
def test_a_run_of_a_scheduler_whose_spec_was_changed_since_is_neither_resumed_nor_reported(
    messages: Database, last: str
) -> None:
    steps(messages, STEPS[0], last)
    with pytest.raises(Refused) as caught:
        step(messages, STEPS[0], {**PRODUCT, "select": "message_id = 1"})
    assert "began with other options" in str(*caught.value.problems)


def test_a_silent_run_is_taken_for_abandoned(messages: Database) -> None:
    steps(messages, STEPS[0], "back_up_rows")
    messages.run("update windlass.line set at = at - interval '2 minutes'")
    assert done(messages).totals.counts["written"] == 20
    with pytest.raises(WindlassError, match="has been undone by another"):
        step(messages, "delete_rows")


def test_a_session_that_is_lost_after_an_abandoned_run_is_dropped_is_replaced(
    messages: Database,
) -> None:
    """What failed then is of the new run, of which nothing is written yet."""

    def fail(_: Connection) -> Result:
        raise ConnectionLost("gone")

    steps(messages, STEPS[0], "back_up_rows", external_run="")
    with Rewriting(spec(messages)) as context:
        with pytest.raises(ConnectionLost):
            context.begin(settle, fail)
        assert not context.has_begun
        context.recover(ConnectionLost("gone"))
        assert read_rows(context, ONE)["rows"] == 20
    assert done(messages).totals.counts["written"] == 20
    assert messages.rows("select state from windlass.run order by started_at") == [
        ("rolled back",),
        ("rolled back",),
        ("done",),
    ]


@pytest.mark.parametrize("last", STEPS[:-1])
def test_the_next_run_of_the_same_dag_ends_the_one_before(last: str, messages: Database) -> None:
    steps(messages, STEPS[0], last)
    result = steps(messages, STEPS[0], STEPS[-1], external_run="airflow migrate_to_db run_2")
    assert result["written"] == (0 if last == "write_rows" else 20)
    assert messages.value("select count(*) from message where product_id = 'ABCD'") == 20
    assert left_over(messages) == []


def test_a_task_that_is_run_again_after_all_is_done_changes_nothing(messages: Database) -> None:
    steps(messages, STEPS[0], STEPS[-1])
    before = messages.rows("select ctid, * from message order by 2")
    for name in STEPS:
        step(messages, name)
    assert messages.rows("select ctid, * from message order by 2") == before


# the table itself changes


def test_a_table_that_is_altered_before_the_write_stops_the_run(messages: Database) -> None:
    steps(messages, STEPS[0], "back_up_rows")
    messages.run("alter table message rename body to text")
    with pytest.raises(WindlassError, match="was altered"):
        step(messages, "write_rows")
    next_run = steps(messages, STEPS[0], STEPS[-1], external_run="airflow migrate_to_db run_2")
    assert next_run["written"] == 20


def test_a_table_that_is_altered_after_rows_were_deleted_gets_them_back(
    messages: Database,
) -> None:
    words = {**PRODUCT, "drop_duplicates": ["base"]}
    before = rows(messages, "message_id, base, total")
    steps(messages, STEPS[0], "delete_rows", words)
    messages.run("alter table message drop body", "alter table message rename total to sum")
    with pytest.raises(WindlassError, match="was altered"):
        step(messages, "write_rows", words)
    assert rows(messages, "message_id, base, sum") == before
    assert done(messages, words).totals.counts["written"] == 11


def test_a_table_that_is_dropped_during_the_run_is_reported(messages: Database) -> None:
    steps(messages, STEPS[0], "back_up_rows")
    messages.run("drop table message")
    with pytest.raises(Refused) as caught:
        step(messages, "delete_rows")
    assert "there is no such table" in str(caught.value.problems[0])
    fill(messages)
    result = steps(messages, STEPS[0], STEPS[-1], external_run="airflow migrate_to_db run_2")
    assert result["written"] == 20
    assert left_over(messages) == []


def test_a_session_that_is_ended_is_replaced(gated: Database, tmp_path: Path) -> None:
    file = write_spec(tmp_path, WORDS)
    with closed(gated, AT["write_rows"]):
        process = start("rewrite", "-f", str(file), env={"WINDLASS_TARGET": gated.url})
        wait_at_gate(gated)
        gated.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like 'windlass rewrite%'"
        )
    finish(process).expect(DONE)
    assert left_over(gated) == []
