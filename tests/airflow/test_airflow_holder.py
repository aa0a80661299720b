"""The holder of a run in the triggerer: the process that holds, and the task around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from airflow_runs import holding, until
from pages import Page
from servers import PASSWORD, Pair
from windlass.airflow.holder import BOARD, Order
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.outline import MIGRATE
from windlass.model.flow import ONE
from windlass.model.outcome import StartedBy
from windlass.run.local import run_flow
from windlass.spec.migrate import Spec

# what Airflow gives the processes of a triggerer; what loads Airflow's database then ends
FORBIDDEN = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "airflow-db-not-allowed:///"}
SECONDS = 300.0
RUN = "airflow theirs tonight move"
URL = "https://airflow.example.com/dags/theirs/runs/tonight"
EXTRACT = "extract_source_schema"


class Triggerer:
    """What the process speaks with; it answers as Airflow would while other tasks are at work."""

    def __init__(self, pair: Pair, extracted: Mapping[str, Any], patience_seconds: float) -> None:
        self.extracted, self.over, self.failed = extracted, False, list[str]()
        self.heard: list[tuple[str, Any]] = []
        words = (sys.executable, "-P", "-m", "windlass.airflow.holder")
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **FORBIDDEN}
        )
        sides = {"source": pair.source.url, "target": pair.target.url}
        self.send(json.loads(order(sides, patience_seconds).to_line()))

    def send(self, answer: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(answer).encode() + b"\n")
        self.process.stdin.flush()

    def listen(self, until_it_says: str) -> Any:
        """Answer until it says this."""
        assert self.process.stdout
        for line in self.process.stdout:
            ((what, value),) = json.loads(line).items()
            self.heard.append((what, value))
            if what == "ask":
                self.send(self.answer(*value))
            elif what == "publish":
                self.send(None)
            if what == until_it_says:
                return value
        raise AssertionError(f"it has not said {until_it_says}: {self.heard}")

    def answer(self, name: str, *_: Any) -> Any:
        answers: dict[str, Any] = {"results": self.extracted, "others_are_over": self.over}
        answers |= {"failed": self.failed, "result": None}
        assert name in BOARD
        return answers.get(name, [])


def order(sides: Mapping[str, str], patience_seconds: float) -> Order:
    return Order("windlass.flows.migrate.outline:MIGRATE", "hold_snapshot", sides, RUN, URL,
                 patience_seconds, ["generate_migration_summary"], [], "default_pool",
                 90.0)  # fmt: skip


@contextmanager
def triggerer(pair: Pair, patience_seconds: float = 60.0) -> Iterator[Triggerer]:
    spec = Spec.of(source=pair.source.url, target=pair.target.url)
    with Migration(spec, started_by=StartedBy(RUN)) as run:
        run_flow(MIGRATE.only(EXTRACT), run, jobs=1, emit=run.emit)
        extracted = run.results[EXTRACT]
    found = Triggerer(pair, json.loads(json.dumps({ONE.id: extracted[ONE.id]})), patience_seconds)
    guard = Timer(SECONDS, found.process.kill)  # one that never says it ends the test
    guard.start()
    try:
        yield found
    finally:
        guard.cancel()
        found.process.kill()
        found.process.wait()


def test_the_process_holds_the_run_until_its_other_tasks_have_ended(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n")
    with triggerer(pair) as at_work:
        handle = at_work.listen("publish")
        assert pair.target.rows("select caller, caller_url from windlass.run") == [(RUN, URL)]
        assert holding(pair.source)
        at_work.over = True
        assert at_work.listen("done") == handle
        assert at_work.process.wait(20) == 0
        said = json.dumps(at_work.heard)
        assert PASSWORD not in said and PASSWORD not in str(at_work.process.args)
    until(lambda: not holding(pair.source), "the snapshot is released")


def test_a_triggerer_that_dies_takes_the_hold_with_it_and_the_next_one_resumes(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n")
    with triggerer(pair) as first:
        handle = first.listen("publish")
        assert first.process.stdin and first.process.stdout
        first.process.stdin.close()
        first.process.stdout.close()
        first.process.wait(20)
    until(lambda: not holding(pair.source), "the snapshot is released")
    with triggerer(pair) as second:
        again = second.listen("publish")
    assert again["run"] == handle["run"]
    assert again["snapshot"]["number"] == handle["snapshot"]["number"] + 1
    assert pair.target.value("select count(*) from windlass.run") == 1


def lose_snapshot(pair: Pair) -> None:
    pair.source.run(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'windlass snapshot' and datname = current_database()"
    )


def test_a_lost_snapshot_is_followed_by_another_as_long_as_its_patience_lasts(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n")
    with triggerer(pair) as at_work:
        first = at_work.listen("publish")
        lose_snapshot(pair)
        second = at_work.listen("publish")
    numbers = [handle["snapshot"]["number"] for handle in (first, second)]
    assert (first["run"], numbers) == (second["run"], [1, 2])


def test_a_lost_snapshot_ends_it_as_something_to_be_tried_again(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n")
    with triggerer(pair, patience_seconds=0.0) as at_work:
        at_work.listen("publish")
        lose_snapshot(pair)
        failed = at_work.listen("failed")
    assert failed["lost"] and failed["retryable"]
    assert failed["problems"] == ["the session that held the snapshot is gone"]


def test_a_fault_in_the_process_is_logged_and_left_to_the_retries_of_airflow() -> None:
    wrong = replace(order({}, 0.0), flow="windlass.flows.migrate.outline:NOTHING")
    words = (sys.executable, "-P", "-m", "windlass.airflow.holder")
    ran = subprocess.run(words, input=wrong.to_line(), capture_output=True, timeout=SECONDS)
    log, failed = (json.loads(line) for line in ran.stdout.splitlines())
    assert "Traceback" in log["log"][1]
    assert "AttributeError" in failed["failed"]["problems"][0]
    assert failed["failed"]["retryable"] and not failed["failed"]["lost"]


# the task


def ended(event: Mapping[str, Any], losses: int = 0) -> tuple[str, str]:
    """How the task ends after such an event: the kind of its error, and the message."""
    task, context = held_task()
    words = {"event": event, "losses": losses}
    try:
        return "", str(task.resume_execution("ended", words, context))
    except BaseException as error:  # a deferral is no Exception
        name = type(error).__name__
        return name, "" if name == "TaskDeferred" else str(error)


def held_task() -> Any:
    from airflow.sdk import DAG

    from windlass.airflow import MigrateTaskGroup, Tuning

    class Instance:
        dag_id, run_id, task_id, try_number = "theirs", "tonight", "move.hold_snapshot", 1

        def xcom_push(self, key: str, value: Any) -> None: ...
        def xcom_pull(self, **_: Any) -> None: ...

    with DAG("theirs", max_active_tasks=1) as dag:
        MigrateTaskGroup("move", tuning=Tuning(hold_in="triggerer"))
    return dag.get_task("move.hold_snapshot"), {"ti": Instance(), "params": {}}


@pytest.mark.parametrize(
    ("failed", "kind"),
    [
        ({"problems": ["a server is gone"], "retryable": True}, "WindlassError"),
        ({"problems": ["plan: table shop.item has changed"], "retryable": False},
         "AirflowFailException"),
    ],
)  # fmt: skip
def test_the_task_is_retried_only_where_that_may_help(
    process: Executor, failed: Mapping[str, Any], kind: str
) -> None:
    event = {"failed": {"lost": False, "no_slot": False, **failed}, "was_held": False}
    assert process.submit(ended, event).result() == (kind, failed["problems"][0])


def test_what_was_held_is_held_again_by_the_triggerer_after_a_loss(process: Executor) -> None:
    failed = {"problems": ["gone"], "retryable": True, "lost": True, "no_slot": False}
    kind, _ = process.submit(ended, {"failed": failed, "was_held": True}).result()
    assert kind == "TaskDeferred"
    kind, _ = process.submit(ended, {"failed": failed, "was_held": False}).result()
    assert kind == "WindlassError"
    # and not forever: after some losses it is a failed try
    kind, _ = process.submit(ended, {"failed": failed, "was_held": True}, 5).result()
    assert kind == "WindlassError"


def test_a_run_whose_tasks_have_failed_leaves_its_report(
    process: Executor, pair: Pair, home: Path
) -> None:
    pair.source.run("create table sale as select 1 as n")
    with triggerer(pair) as at_work:
        at_work.listen("publish")
        at_work.failed, at_work.over = ["create_indexes"], True
        failed = at_work.listen("failed")
    kind, message = process.submit(ended, {"failed": failed, "was_held": True}).result()
    assert (kind, "create_indexes" in message) == ("AirflowFailException", True)
    (report,) = home.rglob("task_id=move.hold_snapshot/report.html")
    page = Page(report.read_text())
    assert "public.sale" in page.text
    assert "create_indexes" in page.text
    assert "theirs tonight" in page.text
    assert PASSWORD not in report.read_text()


def holders() -> list[str]:
    from windlass.airflow import Tuning, migration_dag
    from windlass.airflow.specs import DagSpec

    dags = [
        migration_dag("default"),
        migration_dag("tuned", tuning=Tuning(hold_in="triggerer")),
        DagSpec(dag_id="written", hold_in="triggerer").dag(),
    ]
    return [type(dag.get_task("hold_snapshot")).__name__ for dag in dags]


def test_a_worker_holds_a_run_unless_it_is_told_otherwise(process: Executor) -> None:
    triggerer = "TriggererHoldOperator"
    assert process.submit(holders).result() == ["HoldOperator", triggerer, triggerer]


def asks_a_triggerer() -> tuple[float, str]:
    from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

    task, context = held_task()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    with pytest.raises(AirflowFailException) as caught:  # no retry helps
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    waits: Any = deferred.value.timeout
    return waits.total_seconds(), str(caught.value)


def test_where_no_triggerer_runs_the_task_fails_and_names_that_within_two_minutes(
    process: Executor,
) -> None:
    seconds, message = process.submit(asks_a_triggerer).result()
    assert seconds < 120
    assert message.startswith("no triggerer has answered for 90 s")
    assert 'Tuning(hold_in="worker")' in message
