"""The command `windlass rewrite` and related commands: their output, and the state after a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from awaiting import until
from command import BAD_SPEC, DONE, REFUSED, STOPPED, Ran, finish, start, windlass
from rewrites import fill, left_over, rows, write_spec
from servers import Database

Make = Callable[[int], Database]
SECONDS = 20.0
FUNCTIONS = """
import time
from pathlib import Path

def waits_once(frame):
    here = Path(__file__).with_name("here")
    if not here.exists():
        here.touch()
        time.sleep(600)
    return frame[["message_id"]].assign(body=frame["body"].str.upper())

def gives_kinds(frame):
    odd = [1, *["row value " + word for word in frame["body"][1:]]]
    return frame[["message_id"]].assign(body=odd)

def changes_its_mind(frame):
    late = [1 if number < 8 else "row value x" for number in frame["message_id"]]
    return frame[["message_id"]].assign(body=late)
"""


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


def call(database: Database, *words: str) -> Ran:
    return windlass(*words, env={"WINDLASS_TARGET": database.url})


def test_plan_rewrite_status_and_rollback_by_their_commands(
    messages: Database, tmp_path: Path
) -> None:
    file = str(write_spec(tmp_path, "add: {product_id: {value: ABCD}}\ndrop_duplicates: true\n"))
    before = rows(messages)
    planned = call(messages, "plan", "-f", file).expect(DONE)
    assert "20" in planned.said and "alter table" in planned.said
    assert messages.value("select to_regnamespace('windlass')") is None
    ran = call(messages, "rewrite", "-f", file, "--json").expect(DONE)
    name = ran.result["run"]
    assert "backup.message" in call(messages, "status").expect(DONE).said
    call(messages, "rollback", "--yes", name).expect(DONE)
    assert rows(messages) == before
    assert "Already rolled back" in call(messages, "rollback", "--yes", name).expect(DONE).said


def test_a_plan_shows_rows_before_and_after_and_costs_and_json_shows_no_values(
    messages: Database, tmp_path: Path
) -> None:
    words = "set: {body: {sql: upper(body)}}\nadd: {product_id: {value: ABCD}}\ncommit_rows: 7\n"
    file = str(write_spec(tmp_path, words))
    said = call(messages, "plan", "-f", file).expect(DONE).said
    assert "message_id '2': body 'body 2' -> 'BODY 2', product_id (new) -> 'ABCD'" in said
    assert "costs about 3 transactions" in said and "of backup" in said and "of WAL" in said
    assert "full backup: backup.message (backup: auto, as the table has up to 64.0 MB)" in said
    planned = call(messages, "plan", "-f", file, "--json").expect(DONE)
    assert planned.result["costs"]["rows"] == 20
    assert planned.result["costs"]["wal_bytes"] > 0
    assert "body 2" not in planned.stdout and "BODY 2" not in planned.stdout


@pytest.mark.parametrize("key", ["", "add primary key (message_id)"], ids=["none", "primary"])
def test_a_plan_says_that_a_table_without_a_key_may_not_be_rolled_back(
    key: str, messages: Database, tmp_path: Path
) -> None:
    messages.run("create table again as table message")
    messages.run(f"alter table again {key}") if key else None
    file = write_spec(tmp_path, "set: {body: {sql: upper(body)}}")
    file.write_text(file.read_text().replace("table: message", "table: again"))
    said = call(messages, "plan", "-f", str(file)).expect(DONE).stdout
    warns = "cannot be rolled back unless message_id is different in each" in said
    assert warns == (not key), said


def test_a_plan_in_a_file_names_the_command_that_there_is(
    messages: Database, tmp_path: Path
) -> None:
    """Only a migration takes the plan of a file."""
    file = str(write_spec(tmp_path, "set: {body: {sql: upper(body)}}"))
    said = call(messages, "plan", "-f", file, "-o", str(tmp_path / "p.json")).expect(DONE).stdout
    assert said.rstrip().endswith(f"windlass rewrite -f {file}")


def test_a_plan_says_which_expression_cannot_be_computed(
    messages: Database, tmp_path: Path
) -> None:
    file = str(write_spec(tmp_path, "set: {total: {sql: total / 0}}"))
    said = call(messages, "plan", "-f", file).expect(DONE).said
    assert "a row cannot be shown as it will be: computing it: division by zero" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("selct: 'true'", "did you mean 'select'"),
        ("set: {body: {vale: 1}}", "vale"),
        ("drop_duplicates: []", "drop"),
    ],
)
def test_a_spec_that_is_no_spec_is_reported(
    words: str, said: str, messages: Database, tmp_path: Path
) -> None:
    file = str(write_spec(tmp_path, words))
    assert said in call(messages, "rewrite", "-f", file).expect(BAD_SPEC).said


def test_the_same_command_takes_data_that_was_corrected_and_what_has_come(
    messages: Database, tmp_path: Path
) -> None:
    file = str(write_spec(tmp_path, "set: {total: {sql: 100 / total}}"))
    messages.run("update message set total = 0 where message_id = 2")
    ran = call(messages, "rewrite", "-f", file).expect(STOPPED)
    assert "division by zero" in ran.said and f"    windlass rewrite -f {file}" in ran.said
    assert "Or undo the run: windlass rollback" in ran.said
    messages.run(
        "update message set total = 1 where message_id = 2",
        "insert into message values (50, 'new', 'new', 1, '9999-12-31')",
    )
    ran = call(messages, "rewrite", "-f", file, "--json").expect(DONE)
    assert ran.result["counts"]["written"] == 21
    assert messages.value("select count(*) from message where exported_at > '9000-01-01'") == 0
    assert left_over(messages) == []


def test_a_table_that_is_dropped_under_a_command_is_a_clear_error(
    messages: Database, tmp_path: Path
) -> None:
    messages.run(
        "create function wait() returns text language plpgsql as"
        " $$ begin perform pg_advisory_xact_lock_shared(4711); return 'x'; end $$"
    )
    file = str(write_spec(tmp_path, "set: {body: {sql: wait()}}"))
    with messages.connect() as gate:
        gate.execute("select pg_advisory_lock(4711)")
        process = start("rewrite", "-f", file, env={"WINDLASS_TARGET": messages.url})
        until(lambda: messages.value("select count(*) from pg_locks where not granted"))
        messages.run("drop table message")
    ran = finish(process).expect(STOPPED)
    assert "message" in ran.said and "nothing was written" not in ran.said
    assert "there is no such table" in call(messages, "rewrite", "-f", file).expect(REFUSED).said


def test_killed_during_a_rollback_the_next_one_does_it(messages: Database, tmp_path: Path) -> None:
    file = str(write_spec(tmp_path, "set: {body: {sql: upper(body)}}"))
    before = rows(messages)
    name = call(messages, "rewrite", "-f", file, "--json").expect(DONE).result["run"]
    after = rows(messages)
    messages.run(
        "create function wait() returns trigger language plpgsql as"
        " $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$",
        "create trigger waits before update on message for each row execute function wait()",
    )
    with messages.connect() as gate:
        gate.execute("select pg_advisory_lock(4711)")
        process = start("rollback", "--yes", name, env={"WINDLASS_TARGET": messages.url})
        until(lambda: messages.value("select count(*) from pg_locks where not granted"))
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)
        assert rows(messages) == after
    ours = "datname = current_database() and application_name like 'windlass%'"
    until(lambda: not messages.value(f"select count(*) from pg_stat_activity where {ours}"))
    call(messages, "rollback", "--yes", name).expect(DONE)
    assert rows(messages) == before


# functions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command finds its functions."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("adbc_driver_postgresql")
    (tmp_path / "functions_of_a_command.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_killed_during_a_function_the_same_command_ends_the_same(
    messages: Database, folder: Path
) -> None:
    file = str(write_spec(folder, "function: functions_of_a_command:waits_once"))
    process = start("rewrite", "-f", file, env={"WINDLASS_TARGET": messages.url})
    until((folder / "here").exists)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    call(messages, "rewrite", "-f", file).expect(DONE)
    assert messages.value("select count(*) from message where body = upper(body)") == 20
    assert left_over(messages) == []


@pytest.mark.parametrize("name", ["gives_kinds", "changes_its_mind"])
def test_what_a_function_gives_wrongly_is_named_without_a_row_s_values(
    name: str, messages: Database, folder: Path
) -> None:
    file = str(write_spec(folder, f"function: functions_of_a_command:{name}\nbatch_rows: 3\n"))
    ran = call(messages, "rewrite", "-f", file).expect(STOPPED)
    journalled = str(messages.rows("select to_jsonb(r) - 'plan' from windlass.run r"))
    journalled += str(messages.rows("select note from windlass.line"))
    assert "column body" in ran.said
    for text in (ran.said, journalled):
        assert "row value" not in text and "body 2" not in text
