"""Migrations run by a real Airflow: scheduler, workers and web UI, with the LocalExecutor."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_runs import (
    Ended,
    client,
    connect,
    copying,
    expect_equal,
    expect_no_secret,
    fill,
    holding,
    journal_text,
    run_dag,
    stopped_copies,
    until,
    wait,
)
from airflow_server import up
from demo.airflow.local import LocalAirflow
from post import Post
from servers import Database, Pair, Server

# of the tables that `fill` makes
NOTHING_TO_DO = {
    *("transfer_large_objects", "convert_tables_to_logged", "attach_indexes"),
    *("create_triggers_and_rules", "refresh_materialized_views", "repoint_dependents"),
    "create_event_triggers",
}
NOT_TOLD = {"trigger_validation": False}
REPORTS = "https://reports.example"  # of dags/quick.py
CUT = {"partition_threshold": 100_000, "chunk_size": 30_000}

# ---------------------------------------------------------------------------------- a good end


@pytest.fixture(scope="module")
def migrated(
    stopped_airflow: LocalAirflow, server: Callable[[int], Server]
) -> Iterator[tuple[Ended, Pair, dict[str, object]]]:
    """One run of the example DAG, from the plan's approval to the validation DAG."""
    running = up(stopped_airflow)
    pair = Pair(server(16).create_database(), server(18).create_database())
    fill(pair.source)
    conf = {**connect(running, pair), **CUT, "require_approval": True}
    run_id = running.client.trigger("postgres_to_postgres_migration", conf)
    asked = answer_plan(running, "postgres_to_postgres_migration", run_id, pair.target, "Approve")
    assert "create table shop.item" in asked.lower()
    link = re.search(r"\[The plan as a page\]\((\S+)\)", asked)
    assert link
    status, plan = running.client.page(link[1].removeprefix(running.client.url))
    assert (status, "shop.item" in plan, "Signature" in plan) == (200, True, True)
    with written_meanwhile(pair):
        ended = wait(running, "postgres_to_postgres_migration", run_id)
    yield ended, pair, conf
    server(16).drop_database(pair.source)
    server(18).drop_database(pair.target)


Migrated = tuple[Ended, Pair, dict[str, object]]


@contextmanager
def written_meanwhile(pair: Pair) -> Iterator[None]:
    """The source keeps writing once all is copied and the sequences are set; at the end that is
    taken back."""
    is_set = "select count(*) from windlass.line where step = 'set_sequences'"
    until(lambda: pair.target.value("select to_regclass('windlass.line')"), "the run has begun")
    until(lambda: pair.target.value(is_set), "the sequences are set")
    pair.source.run("insert into shop.sale (item, n) values (1, 1)")  # and nextval
    yield
    last = "(select max(id) from shop.sale)"
    pair.source.run(f"delete from shop.sale where id = {last}",
                    f"select setval('shop.sale_id_seq', {last})")  # fmt: skip


def answer_plan(
    running: LocalAirflow, dag_id: str, run_id: str, target: Database, answer: str
) -> str:
    """Wait until a person is asked, answer as one, and return what was shown. Until then nothing
    is written."""
    place = f"/dags/{dag_id}/dagRuns/{run_id}"
    task = f"{place}/taskInstances/approve_migration"
    until(lambda: running.client.api("GET", task)["state"] == "awaiting_input", "a person is asked")
    # Nobody answers in a millisecond, but we do: an answer before the scheduler has heard of the
    # parked task's worker makes Airflow 3.3 take the task that it resumes for a lost one.
    log = running.folder / "logs" / "components" / "scheduler.log"
    heard = f"task_id='approve_migration', run_id='{run_id}'"
    until(lambda: f"Received executor event with state success for task instance "
                  f"TaskInstanceKey(dag_id='{dag_id}', {heard}" in log.read_text(),
          "the scheduler has heard of it")  # fmt: skip
    assert target.value("select to_regnamespace('windlass')") is None
    asked = running.client.api("GET", f"{place}/hitlDetails")["hitl_details"][0]
    words = {"chosen_options": [answer], "params_input": {}}
    running.client.api("PATCH", f"{task}/-1/hitlDetails", words)
    return str(asked["body"])


def test_every_task_is_green_and_the_target_equal(migrated: Migrated) -> None:
    ended, pair, _ = migrated
    ended.expect("success")
    states = ended.states()
    assert set().union(*states.values()) == {"success", "skipped"}
    assert {task for task, found in states.items() if found == {"skipped"}} == NOTHING_TO_DO
    expect_equal(pair)


def test_xcoms_and_mapped_tasks_have_the_names_people_know(migrated: Migrated) -> None:
    ended, _, _ = migrated
    extracted = ended.xcom("extract_source_schema")
    assert {one["table_name"] for one in extracted["extracted_tables"]} == {
        "shop.item",
        "shop.sale",
    }
    assert extracted["total_row_count"] == 125_000
    partitions = ended.xcom("prepare_large_table_partitions")["return_value"]
    assert [one["partition_name"] for one in partitions] == sorted(
        ended.names("transfer_partition")
    )
    assert partitions[0]["where_clause"].startswith("ctid >= ")
    assert sum(one["estimated_rows"] for one in partitions) == 120_000
    assert ended.names("transfer_table_data") == ["shop.sale"]
    collected = ended.xcom("collect_all_results")
    assert collected["total_row_count"] == 125_000
    assert {(one["table_name"], one["rows"]) for one in collected["return_value"]} == {
        ("shop.item", 120_000),
        ("shop.sale", 5_000),
    }
    listed = ended.xcom("prepare_regular_tables")
    assert [one["table_name"] for one in listed["regular_tables"]] == ["shop.sale"]
    (copied,) = ended.xcom("transfer_table_data", 0)["return_value"].values()
    assert (copied["rows"], copied["success"]) == (5_000, True)
    assert copied["seconds"] > 0


def test_the_validation_dag_reads_the_migrations_own_snapshot(migrated: Migrated) -> None:
    """A source that has been written to since makes no difference."""
    ended, _, _ = migrated
    run_id = ended.xcom("trigger_validation_dag")["trigger_run_id"]
    validation = wait(ended.airflow, "validate_migration_env", run_id).expect("success")
    held = ended.xcom("hold_snapshot")["return_value"]["snapshot"]
    place = f"/dags/validate_migration_env/dagRuns/{run_id}"
    assert ended.airflow.client.api("GET", place)["conf"]["snapshot"] == held["id"]
    report = validation.xcom("generate_validation_report")["return_value"]
    assert report == {"state": "done", "relations": 2, "notices": []}


def test_target_relations_are_assets_that_other_dags_can_wait_for(migrated: Migrated) -> None:
    ended, pair, _ = migrated
    events = ended.airflow.client.api("GET", "/assets/events?limit=50")["asset_events"]
    reported = {event["uri"] for event in events if event["source_run_id"] == ended.run_id}
    place = f"postgres://127.0.0.1:{pair.target.server.port}/{pair.target.name}"
    assert reported == {f"{place}/shop/item", f"{place}/shop/sale"}


def test_no_password_is_anywhere(migrated: Migrated) -> None:
    ended, pair, _ = migrated
    expect_no_secret(ended.said())
    expect_no_secret(journal_text(pair.target))
    place = f"/dags/{ended.dag_id}/dagRuns/{ended.run_id}"
    expect_no_secret(iter([("run", json.dumps(ended.airflow.client.api("GET", place)))]))


def test_clearing_every_task_of_a_finished_run_changes_nothing(migrated: Migrated) -> None:
    ended, pair, _ = migrated
    runs = pair.target.rows("select run, state, finished_at from windlass.run")
    cleared = {"dry_run": False, "dag_run_id": ended.run_id, "only_failed": False,
               "reset_dag_runs": True}  # fmt: skip
    skip = {"approve_migration"}  # a person would have to answer again
    tasks = [task for task in ended.states() if task not in skip]
    place = f"/dags/{ended.dag_id}/clearTaskInstances"
    ended.airflow.client.api("POST", place, {**cleared, "task_ids": tasks})
    wait(ended.airflow, ended.dag_id, ended.run_id).expect("success")
    assert pair.target.rows("select run, state, finished_at from windlass.run") == runs
    expect_equal(pair)


# --------------------------------------------------------------------------------- what turns red


def test_a_wrong_password_is_reported_without_it(running: LocalAirflow, pair: Pair) -> None:
    conf = connect(running, pair)
    wrong = pair.source.url.replace("Sw0rdfish", "Herring").replace("postgresql", "postgres")
    running.client.set_connection("wrong", wrong)
    ended = run_dag(running, "migrate", {**conf, "source_conn_id": "wrong"}).expect("failed")
    assert ended.failed() == {"extract_source_schema"}
    assert 'password authentication failed for user "postgres"' in ended.problems(
        "extract_source_schema"
    )
    assert all("Herring" not in text for _, text in ended.said())


def test_a_connection_that_is_not_there_is_named(running: LocalAirflow, pair: Pair) -> None:
    conf = {**connect(running, pair), "target_conn_id": "nowhere"}
    ended = run_dag(running, "migrate", conf).expect("failed")
    assert "there is no Airflow connection 'nowhere'" in ended.problems("extract_source_schema")


def test_relations_that_are_there_stop_the_run_before_it_writes(
    running: LocalAirflow, pair: Pair
) -> None:
    fill(pair.source, items=10, sales=10)
    pair.target.run("create schema shop", "create table shop.item (id int)",
                    "insert into shop.item values (7)")  # fmt: skip
    ended = run_dag(running, "migrate", connect(running, pair)).expect("failed")
    assert ended.failed() == {"extract_source_schema"}
    problems = ended.problems("extract_source_schema")
    assert "shop.item" in problems
    assert "drop_existing_tables" in problems
    assert pair.target.value("select id from shop.item") == 7
    assert pair.target.value("select to_regnamespace('windlass')") is None


def test_a_pool_that_is_not_there_ends_the_run_and_is_named(
    running: LocalAirflow, pair: Pair
) -> None:
    fill(pair.source, items=10, sales=10)
    ended = run_dag(running, "poolless", {**connect(running, pair), **NOT_TOLD}).expect("failed")
    assert ended.failed() == {"hold_snapshot"}
    assert "no task of the pool 'nowhere' has been started" in ended.problems("hold_snapshot")
    assert ended.states()["generate_migration_summary"] == {"skipped"}
    assert pair.target.value("select count(*) from shop.item") == 0


def test_a_rejected_plan_writes_nothing(running: LocalAirflow, pair: Pair) -> None:
    fill(pair.source, items=10, sales=10)
    conf = {**connect(running, pair), "require_approval": True}
    run_id = running.client.trigger("migrate", conf)
    answer_plan(running, "migrate", run_id, pair.target, "Reject")
    ended = wait(running, "migrate", run_id).expect("failed")
    assert ended.failed() == {"approve_migration"}
    assert pair.target.value("select to_regnamespace('windlass')") is None


def test_a_row_changed_between_copy_and_verification_is_found_and_reported(
    running: LocalAirflow, pair: Pair, post: Post
) -> None:
    fill(pair.source)
    conf = {**connect(running, pair), **CUT}
    ended = run_dag(running, "planted", conf, timeout=480).expect("failed")  # two DAGs
    assert ended.failed() == {"trigger_validation_dag", "generate_migration_summary"}
    problems = ended.problems("generate_migration_summary")
    assert "shop.item (id = 77): differs in note" in problems
    assert "shop.sale (id = 9): on the source only" in problems
    assert "windlass verify --repair" in problems
    assert problems.count("has 5,000 rows on the source and 4,999 on the target") == 1
    found = ended.airflow.client.log("planted", ended.run_id, "find_differences")
    assert "shop.item (id = 77): differs in note" in found
    assert pair.target.value("select state from windlass.run") == "different"
    mail, chat = post.about(ended.run_id)
    assert "planted: failed" in mail
    for text in (mail, chat):
        assert "shop.item (id = 77): differs in note" in text
    expect_no_secret(iter([("mail", mail), ("chat", chat)]))


def test_validation_names_the_relations_and_keys_that_differ(
    running: LocalAirflow, pair: Pair
) -> None:
    fill(pair.source, items=100, sales=10)
    fill(pair.target, items=100, sales=10)
    pair.target.run("update shop.item set price = 1 where id = 5", "drop view shop.sold")
    ended = run_dag(running, "validate", connect(running, pair)).expect("failed")
    assert ended.failed() == {"generate_validation_report"}
    said = ended.airflow.client.log("validate", ended.run_id, "generate_validation_report")
    assert re.search(r"read both sides +\d", said) and re.search(r"validate content +\d", said)
    problems = ended.problems("generate_validation_report")
    assert "shop.item (id = 5): differs in price" in problems
    assert "shop.sold" in problems
    only_counts = {**connect(running, pair), "level": "counts", "exclude_tables": ["sold"]}
    run_dag(running, "validate", only_counts).expect("success")


def test_a_source_that_stops_in_the_middle_is_a_red_run(
    running: LocalAirflow, own_server: Callable[..., Server], database: Callable[[int], Database]
) -> None:
    pair = Pair(own_server(16).create_database(), database(18))
    fill(pair.source)
    conf = {**connect(running, pair), **CUT, **NOT_TOLD}
    run_id = running.client.trigger("impatient", conf)
    with stopped_copies(pair.target):
        until(lambda: copying(pair.target), "rows are on their way")
        pair.source.server.stop(signal.SIGQUIT)
    ended = wait(running, "impatient", run_id).expect("failed")
    assert {"hold_snapshot", "transfer_partition"} <= ended.failed()
    assert pair.target.value("select state from windlass.run") == "running"
    pair.source.server.start()
    clear_failed(ended)
    wait(running, "impatient", run_id).expect("success")
    expect_equal(pair)


def clear_failed(ended: Ended) -> None:
    words = {"dry_run": False, "dag_run_id": ended.run_id, "only_failed": True,
             "reset_dag_runs": True}  # fmt: skip
    ended.airflow.client.api("POST", f"/dags/{ended.dag_id}/clearTaskInstances", words)


# ------------------------------------------------------------------------------------ what dies


def kill_client(address: str, port: int) -> bool:
    found = client(address, port)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGKILL)
    return True


# -------------------------------------------------------------------------------------- who is
# notified


def test_a_run_that_takes_too_long_is_reported_while_it_continues(
    running: LocalAirflow, pair: Pair, post: Post
) -> None:
    fill(pair.source, items=10, sales=10)
    run_id = running.client.trigger("late", {**connect(running, pair), "require_approval": True})
    until(
        lambda: [t for t in post.messages if "late has not finished" in t], "somebody is notified"
    )
    place = f"/dags/late/dagRuns/{run_id}"
    assert running.client.api("GET", place)["state"] == "running"
    running.client.api("PATCH", place, {"state": "failed"})


def test_a_worker_killed_in_the_middle_of_a_chunk_and_then_the_holder(
    running: LocalAirflow, pair: Pair, post: Post
) -> None:
    """And the good end is reported, in the messages and in the report."""
    fill(pair.source)
    conf = {**connect(running, pair), **CUT, **NOT_TOLD, "source_schema": "shop"}
    run_id = running.client.trigger("migrate", conf)
    with stopped_copies(pair.target):
        until(lambda: any(kill_client(*one) for one in copying(pair.target)), "a chunk was caught")
        assert kill_client(*until(lambda: holding(pair.source), "a snapshot is held"))
    ended = wait(running, "migrate", run_id).expect("success")
    tries = {task["task_id"]: task["try_number"] for task in ended.tasks}
    assert tries["hold_snapshot"] == 2
    assert max(t["try_number"] for t in ended.tasks if t["task_id"] == "transfer_partition") > 1
    assert pair.target.value("select count(*) from windlass.snapshot") == 2
    expect_equal(pair)
    for text in post.about(run_id):
        assert f"migrate {run_id}: done" in text
        assert "total_row_count: 125000" in text
        assert "verified: full" in text
    summary = "generate_migration_summary"
    told = ended.xcom(summary)
    report = json.loads(Path(told["report"].removeprefix("file://")).read_text())
    assert report["total_row_count"] == 125_000
    assert {one["source"]: one["rows"] for one in report["each_relation"]} == {
        "shop.item": 120_000,
        "shop.sale": 5_000,
    }
    place = f"/dags/migrate/dagRuns/{run_id}/taskInstances/{summary}/links"
    url = ended.airflow.client.api("GET", place)["extra_links"]["Report"]
    name = re.sub(r"[^\w.-]+", "_", f"migrate_{run_id}")
    assert url == told["report_url"] == f"{REPORTS}/{name}.html"
    log = ended.airflow.client.log("migrate", run_id, summary)
    assert "Verified: schema, sequences, row counts and the content of every row" in log
    assert "rows/s" in log
