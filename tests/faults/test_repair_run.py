"""`verify --repair` is a run: announced, journalled, resumed after a kill, and undone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from command import (
    BAD_SPEC,
    DIFFERENT,
    DONE,
    INTERRUPTED,
    REFUSED,
    STOPPED,
    environment,
    finish,
    migrate,
    start,
    verify,
    windlass,
)
from killing import kill
from servers import Database, Pair
from windlass.api import foresee_rollback
from windlass.api import verify as verify_here
from windlass.flows.repair.outline import VERIFY
from windlass.model.event import ignore
from windlass.model.outcome import State
from windlass.model.repair import Repairing
from windlass.run.conduct import conduct
from windlass.spec.migrate import Spec

ROWS = (
    "create table keyed (id int primary key, v text,"
    " twice int generated always as (id * 2) stored)",
    "insert into keyed select n, 'row ' || n from generate_series(1, 20) n",
    "create table keyless (v int)",
    "insert into keyless select n / 2 from generate_series(1, 10) n",
    "create sequence counter",
    "select setval('counter', 7)",
)
SPOILED = (
    "update keyed set v = 'mine' where id in (1, 2)",
    "delete from keyed where id = 3",
    "insert into keyed select n, 'only here' from generate_series(101, 105) n",
    "insert into keyless values (77), (77)",
    "delete from keyless where ctid = (select min(ctid) from keyless)",
    "select setval('counter', 99)",
)


@pytest.fixture
def spoiled(pair: Pair) -> Pair:
    pair.source.run(*ROWS)
    migrate(pair).expect(DONE)
    pair.target.run(*SPOILED)
    return pair


def content(pair: Pair) -> list[list[tuple[Any, ...]]]:
    queries = (
        "select * from keyed order by 1",
        "select * from keyless order by 1",
        "select last_value from counter",
    )
    return [pair.target.rows(query) for query in queries]


def newest(pair: Pair) -> dict[str, Any]:
    found: dict[str, Any] = windlass("status", "--json", pair=pair).expect(DONE).result["runs"][0]
    return found


def test_without_a_terminal_and_without_yes_nothing_is_changed(spoiled: Pair) -> None:
    before = content(spoiled)
    ran = verify(spoiled, "--repair").expect(BAD_SPEC)
    assert "pass --yes" in ran.said and content(spoiled) == before
    assert "--help" not in ran.said


def test_it_says_what_it_changes_and_a_rollback_brings_all_of_it_back(spoiled: Pair) -> None:
    before = content(spoiled)
    ran = verify(spoiled, "--repair", "--yes").expect(DONE)
    lines = {line.split()[0]: line.split()[1:] for line in ran.stderr.splitlines() if line.split()}
    assert lines["public.keyed"] == ["2", "1", "5"]
    assert lines["public.keyless"] == ["0", "1", "2"]
    assert lines["all"] == ["2", "2", "7"]
    assert "on the target only" not in ran.said  # the run's own backup
    run = newest(spoiled)
    assert (run["flow"], run["state"]) == ("repair", "done")
    assert (ran.result["run"], ran.result["repaired"]) == (run["run"], True)
    windlass("rollback", "--json", "--yes", run["run"], pair=spoiled).expect(DONE)
    assert content(spoiled) == before
    schemas = "select count(*) from pg_namespace where nspname like 'windlass\\_%%repair'"
    assert spoiled.target.value(schemas) == 0


@pytest.mark.parametrize("words", [(), ("-q",)], ids=["all", "quiet"])
def test_its_result_names_the_run_and_how_to_undo_it(words: tuple[str, ...], spoiled: Pair) -> None:
    said = windlass("verify", "--repair", "--yes", *words, pair=spoiled).expect(DONE).stdout
    assert f"Repaired by run {newest(spoiled)['run']}" in said
    assert f"windlass rollback {newest(spoiled)['run']}" in said


def test_one_that_stops_part_way_does_not_say_that_nothing_was_changed(spoiled: Pair) -> None:
    """The table that comes second does not take its row."""
    spoiled.target.run("alter table keyless add constraint no check (v <> 0) not valid")
    before = content(spoiled)
    ran = verify(spoiled, "--repair", "--yes").expect(STOPPED)
    run = newest(spoiled)
    assert (ran.result["run"], run["state"]) == (run["run"], "stopped")
    assert f"windlass rollback {run['run']}" in ran.result["hint"]
    assert "nothing was" not in ran.said
    windlass("rollback", "--json", "--yes", run["run"], pair=spoiled).expect(DONE)
    assert content(spoiled) == before


def test_only_what_it_may(spoiled: Pair) -> None:
    verify(spoiled, "--repair=insert,update", "--yes").expect(DIFFERENT)
    extra = "select count(*) from keyed where id > 100"
    assert spoiled.target.value(extra) == 5
    assert spoiled.target.value("select count(*) from keyed where v = 'mine' or id = 3") == 1
    verify(spoiled, "--repair=all", "--yes").expect(BAD_SPEC)


def test_killed_between_two_tables_the_same_command_resumes_the_same_run(spoiled: Pair) -> None:
    before = content(spoiled)
    env = {"WINDLASS_SOURCE": spoiled.source.url, "WINDLASS_TARGET": spoiled.target.url}
    kill("call windlass.flows.repair.steps.repair 2", ["verify", "--repair", "--yes"], env)
    killed = newest(spoiled)
    assert killed["state"] == "running" and not killed["active"]
    verify(spoiled, "--repair", "--yes").expect(DONE)
    run = newest(spoiled)
    assert (run["run"], run["state"]) == (killed["run"], "done")
    windlass("rollback", "--json", "--yes", run["run"], pair=spoiled).expect(DONE)
    assert content(spoiled) == before


def test_what_was_written_since_a_repair_is_not_lost_unasked(spoiled: Pair) -> None:
    verify(spoiled, "--repair", "--yes").expect(DONE)
    run = newest(spoiled)["run"]
    spoiled.target.run("update keyed set v = 'later' where id = 3")
    ran = windlass("rollback", "--json", "--yes", run, pair=spoiled).expect(REFUSED)
    assert "--force" in ran.said
    assert spoiled.target.value("select v from keyed where id = 3") == "later"


def test_repairs_of_the_same_table_are_undone_in_order_and_the_question_says_so(
    spoiled: Pair,
) -> None:
    before = content(spoiled)
    verify(spoiled, "--repair", "--yes").expect(DONE)
    first = newest(spoiled)["run"]
    spoiled.target.run("update keyed set v = 'later' where id = 10")
    assert not foreseen(spoiled, first)
    verify(spoiled, "--repair", "--yes").expect(DONE)
    second = newest(spoiled)["run"]
    blocked = [(f"run {second}", "has repaired the same tables later")]
    assert foreseen(spoiled, first) == blocked
    ran = windlass("rollback", "--json", "--yes", "--force", first, pair=spoiled).expect(REFUSED)
    assert [(one["object"], one["message"]) for one in ran.result["problems"]] == blocked
    windlass("rollback", "--json", "--yes", second, pair=spoiled).expect(DONE)
    assert not foreseen(spoiled, first)
    windlass("rollback", "--json", "--yes", first, pair=spoiled).expect(DONE)
    spoiled.target.run("update keyed set v = 'row 10' where id = 10")
    assert content(spoiled) == before


def foreseen(pair: Pair, run: str) -> list[tuple[str, str]]:
    """What prevents undoing it."""
    found = foresee_rollback(pair.target.url, run)
    assert found is not None
    return [(one.object, one.message) for one in found.blocked]


def test_large_objects_come_back(pair: Pair) -> None:
    pair.source.run("select lo_from_bytea(4711, 'source')", "create table t (a int)")
    migrate(pair).expect(DONE)
    pair.target.run("select lo_unlink(4711)", "select lo_from_bytea(4711, 'mine')")
    verify(pair, "--repair", "--yes").expect(DONE)
    assert bytes(pair.target.value("select lo_get(4711)")) == b"source"
    windlass("rollback", "--json", "--yes", newest(pair)["run"], pair=pair).expect(DONE)
    assert bytes(pair.target.value("select lo_get(4711)")) == b"mine"


REFERRING = (
    "create table c (id int primary key)",
    "create table o (id int primary key, c int references c)",
    "insert into c values (1), (2)",
    "insert into o values (1, 1)",
)
ORPHANS = "select count(*) from o where c not in (select id from c)"


def test_a_foreign_key_that_does_not_hold_after_a_repair_is_a_difference(pair: Pair) -> None:
    pair.source.run(*REFERRING)
    migrate(pair).expect(DONE)
    pair.target.run("insert into c values (3)", "insert into o values (3, 3)")
    ran = verify(pair, "--repair", "--yes", "--include", "public.c").expect(DIFFERENT)
    (found,) = ran.result["differences"]
    assert "foreign key o_c_fkey of public.o" in found["object"] and "1 row" in found["message"]
    windlass("rollback", "--yes", newest(pair)["run"], pair=pair).expect(DONE)
    assert pair.target.value(ORPHANS) == 0
    verify(pair, "--repair", "--yes").expect(DONE)
    assert pair.target.value("select count(*) from o") == 1


def test_an_undone_repair_leaves_no_row_that_refers_to_nothing(pair: Pair) -> None:
    pair.source.run(*REFERRING)
    migrate(pair).expect(DONE)
    pair.target.run("delete from c where id = 2")
    verify(pair, "--repair", "--yes").expect(DONE)
    pair.target.run("insert into o values (7, 2)")
    ran = windlass("rollback", "--yes", newest(pair)["run"], pair=pair).expect(REFUSED)
    assert "o_c_fkey" in ran.said and pair.target.value(ORPHANS) == 0


def test_old_rows_do_not_go_into_another_table_of_that_name(pair: Pair) -> None:
    pair.source.run("create table t (id int primary key)", "insert into t values (1)")
    migrate(pair).expect(DONE)
    pair.target.run("insert into t values (100)")
    verify(pair, "--repair", "--yes").expect(DONE)
    run = newest(pair)["run"]
    migrate(pair, "--existing", "replace").expect(DONE)
    ran = windlass("rollback", run, "--yes", "--force", pair=pair).expect(REFUSED)
    assert "another table" in ran.said and f"windlass clean {run}" in ran.said
    assert pair.target.rows("select id from t") == [(1,)]
    windlass("clean", run, "--yes", pair=pair).expect(DONE)


def test_a_sequence_that_was_used_since_is_not_set_back_unasked(pair: Pair) -> None:
    pair.source.run("create sequence s", "select setval('s', 1000)")
    migrate(pair).expect(DONE)
    pair.target.run("select setval('s', 10)")
    verify(pair, "--repair", "--yes").expect(DONE)
    run = newest(pair)["run"]
    pair.target.run("select nextval('s')")
    ran = windlass("rollback", run, "--yes", pair=pair).expect(REFUSED)
    assert "sequence public.s" in ran.said and "--force" in ran.said
    assert pair.target.value("select last_value from s") == 1001
    windlass("rollback", run, "--yes", "--force", pair=pair).expect(DONE)
    assert pair.target.value("select last_value from s") == 10


def test_a_large_object_that_was_changed_since_is_not_lost_unasked(pair: Pair) -> None:
    pair.source.run("select lo_from_bytea(4711, 'source')", "create table t (a int)")
    migrate(pair).expect(DONE)
    pair.target.run("select lo_unlink(4711)", "select lo_from_bytea(4711, 'mine')")
    verify(pair, "--repair", "--yes").expect(DONE)
    run = newest(pair)["run"]
    pair.target.run("select lo_put(4711, 0, 'LATER')")
    ran = windlass("rollback", run, "--yes", pair=pair).expect(REFUSED)
    assert "large object 4711" in ran.said
    assert bytes(pair.target.value("select lo_get(4711)")) == b"LATERe"


def test_no_more_is_changed_than_was_asked_for(spoiled: Pair) -> None:
    def written_meanwhile(_: object) -> None:
        spoiled.target.run("insert into keyed select n, 'new' from generate_series(501, 600) n")

    words = {"source": spoiled.source.url, "target": spoiled.target.url}
    how = Repairing(confirm=written_meanwhile)
    outcome = verify_here(Spec.model_validate(words), ignore, repair=how, show_values=False)
    assert outcome.state is State.STOPPED and "deletes 105" in outcome.reason.message
    assert spoiled.target.value("select count(*) from keyed where id > 500") == 100
    verify(spoiled, "--repair", "--yes").expect(DONE)


WAITING = (
    "select pid from pg_stat_activity where application_name like 'windlass 2%'"
    " and datname = current_database() and wait_event_type = 'Lock'"
)


def wait_for_waiting(target: Database, but: set[int]) -> set[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = {pid for (pid,) in target.rows(WAITING)} - but
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nobody waits for the lock")


def test_a_killed_repair_that_still_waits_on_the_server_is_ended(spoiled: Pair) -> None:
    with spoiled.target.connect() as other:
        other.execute("begin")
        other.execute("lock table keyed in row exclusive mode")
        killed = start("verify", "--repair", "--yes", pair=spoiled)
        left = wait_for_waiting(spoiled.target, set())
        killed.kill()
        killed.wait()
        again = start("verify", "--repair", "--yes", pair=spoiled)
        wait_for_waiting(spoiled.target, left)
        other.execute("rollback")
    finish(again).expect(DONE)


def test_a_target_that_lets_nobody_in_after_the_repair_is_reported(pair: Pair) -> None:
    away = pair.target.url_for("nobody_known")
    spec = Spec.model_validate({"source": pair.source.url, "target": away})
    outcome = conduct(VERIFY, spec, ignore, repaired="20260101_0000_aaaa")
    assert (outcome.state, outcome.run) == (State.STOPPED, "20260101_0000_aaaa")
    assert "nobody_known" in outcome.reason.message


def test_ctrl_c_at_the_question_ends_the_command(pair: Pair) -> None:
    for one in (pair.source, pair.target):
        one.run("create table t (a int primary key, b text)", "insert into t values (1, 'x')")
    pair.target.run("update t set b = 'y'")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "windlass", "verify", "--repair"],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**environment(pair), "TERM": "dumb"},
    )
    os.close(child)
    try:
        said = b""
        while b"[y/N]" not in said:
            said += os.read(parent, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == INTERRUPTED
    finally:
        process.kill()
        os.close(parent)
    assert pair.target.value("select b from t") == "y"
    assert pair.target.value("select to_regclass('windlass.run')") is None
