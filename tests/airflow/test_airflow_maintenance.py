"""DAGs that act on past runs: what they show, what they do, and what they refuse."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest

from command import DONE, migrate, verify, windlass
from reading_dags import Read, dag_from, serialized
from servers import Pair

FILE = "windlass_maintenance"
ROLLBACK = ("foresee_rollback", "approve_rollback", "roll_back")
CLEAN = ("list_what_is_left", "approve_clean", "clean")
REPAIR = ("compare_both_sides", "approve_repair", "repair")


# a run of a DAG, task by task, in one process


@dataclass
class Tasks:
    """The XComs of a run, as a task instance has them."""

    task_id: str = ""
    xcoms: dict[str, dict[str, Any]] = field(default_factory=dict)
    dag_id: str = "a_dag"
    run_id: str = "tonight"
    try_number: int = 1

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms.setdefault(self.task_id, {})[key] = value

    def xcom_pull(
        self, task_ids: str, map_indexes: int | None = None, key: str = "return_value"
    ) -> Any:
        return self.xcoms.get(task_ids, {}).get(key)


@dataclass(frozen=True)
class Done:
    """What became of a run's tasks: their XComs, what a person was shown, and why one failed."""

    xcoms: dict[str, dict[str, Any]]
    asked: str = ""
    failed: str = ""

    def result(self, task: str) -> Mapping[str, Any]:
        assert not self.failed, self.xcoms
        found: Mapping[str, Any] = self.xcoms[task]["return_value"]
        return found

    @property
    def problems(self) -> str:
        assert self.failed
        return "\n".join(self.xcoms[self.failed]["problems"])


def run_tasks(
    dag_id: str, params: Mapping[str, Any], env: Mapping[str, str], seen: Mapping[str, Any]
) -> Done:
    """Its tasks, one after another, up to the question, or after it if `seen` has the XComs up to
    there: then the answer was yes."""
    from airflow.sdk.exceptions import AirflowFailException

    from windlass.airflow.gates import AskingApproval
    from windlass.errors import WindlassError

    os.environ.update(env)
    dag: Any = dag_from(FILE, dag_id)
    ti = Tasks(xcoms={task: dict(keys) for task, keys in seen.items()})
    defaults = {key: one.value for key, one in dag.params.items() if key not in params}
    context: Any = {"ti": ti, "params": {**defaults, **params}, "dag": dag}
    for name in [task.task_id for task in dag.topological_sort()]:
        task: Any = dag.get_task(name)
        if name in seen or (seen and isinstance(task, AskingApproval)):
            continue
        ti.task_id = name
        if isinstance(task, AskingApproval) and asks(task, context):
            return Done(ti.xcoms, task.render_template(task.body, context))
        try:
            result = task.execute(context)
        except (AirflowFailException, WindlassError):
            return Done(ti.xcoms, failed=name)
        for key, value in {**result, "return_value": result}.items():
            ti.xcom_push(key, value)
    return Done(ti.xcoms)


def asks(task: Any, context: Any) -> bool:
    """Whether it waits for a person."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    asked = []
    original = ApprovalOperator.execute
    ApprovalOperator.execute = lambda *_: asked.append(True)  # type: ignore[method-assign]
    try:
        task.execute(context)
    finally:
        ApprovalOperator.execute = original  # type: ignore[method-assign]
    return bool(asked)


@dataclass(frozen=True)
class Desk:
    """Where DAGs are triggered for a pair of databases."""

    pair: Pair
    process: Executor

    def trigger(self, dag_id: str, seen: Done | None = None, **params: Any) -> Done:
        """Up to the question; or, of a run that was `seen` there, after a yes to it."""
        env = {
            f"AIRFLOW_CONN_POSTGRES_{side.upper()}": url.replace("postgresql:", "postgres:", 1)
            for side, url in (("source", self.pair.source.url), ("target", self.pair.target.url))
        }
        xcoms = seen.xcoms if seen else {}
        return self.process.submit(run_tasks, dag_id, params, env, xcoms).result()

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            windlass("status", "--json", pair=self.pair).expect(DONE).result["runs"]
        )
        return found


@pytest.fixture
def desk(pair: Pair, process: Executor) -> Desk:
    """With ten rows that were migrated, in the target."""
    pair.source.run(
        "create table t (id int primary key, x int)",
        "insert into t select n, n from generate_series(1, 10) n",
    )
    migrate(pair).expect(DONE)
    return Desk(pair, process)


def read_all() -> dict[str, str]:
    return {dag_id: serialized(dag_from(FILE, dag_id)) for dag_id in IDS}


IDS = ("windlass_status", "windlass_rollback", "windlass_clean", "windlass_repair")


def test_what_changes_something_comes_after_an_approval(process: Executor) -> None:
    dags = {name: Read.of(text) for name, text in process.submit(read_all).result().items()}
    assert {name: tuple(dag.tasks) for name, dag in dags.items()} == {
        "windlass_status": ("list_runs",),
        "windlass_rollback": ROLLBACK,
        "windlass_clean": CLEAN,
        "windlass_repair": REPAIR,
    }
    for name in IDS[1:]:
        first, ask, last = dags[name].tasks
        assert dags[name].just_before(last) == {ask}
        assert dags[name].just_before(ask) == {first}
        assert dags[name].words["max_active_runs"] == 1


def test_the_status_lists_runs_and_shows_one(desk: Desk) -> None:
    (run,) = desk.runs()
    listed = desk.trigger("windlass_status").result("list_runs")
    assert [one["run"] for one in listed["runs"]] == [run["run"]]
    assert run["run"] in listed["text"]
    assert "\x1b" not in listed["text"]
    shown = desk.trigger("windlass_status", run=run["run"]).result("list_runs")
    assert f"Run {run['run']}: done" in shown["text"]
    missing = desk.trigger("windlass_status", run="20200101_0000_aaaa")
    assert "is not in the target's journal" in missing.problems


def test_a_rollback_shows_what_it_would_do_and_then_does_it(desk: Desk) -> None:
    (run,) = desk.runs()
    seen = desk.trigger("windlass_rollback", run=run["run"])
    assert f"Rolling back run {run['run']} drops 1 table" in seen.asked
    assert desk.pair.target.value("select count(*) from t") == 10
    done = desk.trigger("windlass_rollback", seen, run=run["run"]).result("roll_back")
    assert (done["run"], done["state"]) == (run["run"], "rolled back")
    assert f"Rolled back run {run['run']}" in done["text"]
    assert desk.pair.target.value("select to_regclass('t') is null")
    unknown = desk.trigger("windlass_rollback", run="nonsense", into="kept.rows")
    assert "is not in the target's journal" in unknown.problems  # before anybody is asked
    again = desk.trigger("windlass_rollback", run=run["run"])
    assert not again.asked
    assert "is rolled back already" in again.result("roll_back")["text"]


def test_a_rollback_that_would_lose_rows_is_refused_unless_that_is_asked_for(desk: Desk) -> None:
    (run,) = desk.runs()
    desk.pair.target.run("insert into t values (11, 11)")
    refused = desk.trigger("windlass_rollback", run=run["run"], yes=True)
    assert refused.failed == "foresee_rollback"
    assert "force" in refused.problems
    assert desk.pair.target.value("select count(*) from t") == 11
    both = desk.trigger("windlass_rollback", run=run["run"], force=True, skip_changed=True)
    assert "force and skip_changed exclude each other" in both.problems
    done = desk.trigger("windlass_rollback", run=run["run"], force=True, yes=True)
    assert done.result("roll_back")["state"] == "rolled back"


def test_a_rollback_does_no_more_than_what_was_approved(desk: Desk) -> None:
    (run,) = desk.runs()
    desk.pair.target.run("insert into t values (11, 11)")
    seen = desk.trigger("windlass_rollback", run=run["run"], force=True)
    desk.pair.target.run("create table later (id int)", "insert into t values (12, 12)")
    refused = desk.trigger("windlass_rollback", seen, run=run["run"], force=True)
    assert refused.failed == "roll_back"
    assert "has changed since it was approved" in refused.problems
    assert desk.pair.target.value("select count(*) from t") == 12


def test_what_runs_left_is_removed_as_far_as_it_was_approved(desk: Desk) -> None:
    migrate(desk.pair, "--existing", "replace").expect(DONE)
    seen = desk.trigger("windlass_clean")
    assert "windlass_" in seen.asked
    assert "for good" in seen.asked
    before = {run["run"] for run in desk.runs()}
    migrate(desk.pair, "--existing", "replace", "--restart").expect(DONE)
    assert {run["run"] for run in desk.runs()} > before
    done = desk.trigger("windlass_clean", seen)
    if done.failed:  # the newest run needs the journal of the one before it
        assert "run" in done.problems
        assert {run["run"] for run in desk.runs()} > before
        return
    assert {run["run"] for run in desk.runs()}.isdisjoint(before)
    assert "Dropped" in done.result("clean")["text"]


def test_where_nothing_is_left_nobody_is_asked(desk: Desk) -> None:
    (run,) = desk.runs()
    windlass("clean", "--yes", pair=desk.pair).expect(DONE)
    done = desk.trigger("windlass_clean")
    assert "Nothing to remove." in done.result("clean")["text"]
    assert not done.asked
    assert run["run"] not in str(desk.runs())


def test_a_repair_shows_what_it_would_change_and_then_compares_again(desk: Desk) -> None:
    desk.pair.target.run("delete from t where id = 1", "update t set x = 0 where id = 2")
    seen = desk.trigger("windlass_repair")
    assert "updates" in seen.asked
    assert seen.asked.startswith("```text\n")  # else the web UI shows the lines as one
    assert seen.xcoms["compare_both_sides"]["forecast"]["relations"] == {
        "public.t": {"insert": 1, "update": 1}
    }
    assert desk.pair.target.value("select count(*) from t") == 9
    done = desk.trigger("windlass_repair", seen).result("repair")
    assert (done["state"], done["repaired"]) == ("done", True)
    verify(desk.pair).expect(DONE)
    repaired = next(run for run in desk.runs() if run["flow"] == "repair")
    assert repaired["external_run"] == "airflow a_dag tonight"
    assert f"run: {done['run']}" in done["text"]


def test_a_definition_that_a_repair_leaves_is_named_before_it_and_after_it(desk: Desk) -> None:
    desk.pair.target.run("update t set x = 0 where id = 2", "alter table t add late text")
    seen = desk.trigger("windlass_repair")
    assert "No repair changes definitions" in seen.asked and "late text" in seen.asked
    done = desk.trigger("windlass_repair", seen)
    assert done.failed == "repair" and "late text" in done.problems
    repaired = next(run for run in desk.runs() if run["flow"] == "repair")
    assert "rows that differed are repaired" in done.problems
    assert f"windlass_rollback with run: {repaired['run']}" in done.problems
    assert desk.pair.target.value("select x from t where id = 2") == 2


def repaired_spec(spec: Mapping[str, Any]) -> list[str]:
    """What the two halves of a repair with a spec compare, of schemas and of what is left out."""
    from windlass.airflow import repair_dag
    from windlass.model.flow import resolve

    for side in ("SOURCE", "TARGET"):
        os.environ[f"AIRFLOW_CONN_POSTGRES_{side}"] = "postgres://db/shop"
    dag = repair_dag("mend", spec=spec, params={"kept": "customer"})
    params = {key: one.value for key, one in dag.params.items()}
    found = []
    for name in ("compare_both_sides", "repair"):
        task: Any = dag.get_task(name)
        task.render_template_fields({"params": params})
        sides = resolve(task.where)(params, task.given)
        found.append(f"{sides.schemas} {sides.exclude}")
    return found


@pytest.mark.parametrize(
    ("spec", "compared"),
    [
        ({"schema": "shop", "exclude": ["*.{{ params.kept }}"]}, "('shop',) ('*.customer',)"),
        ({}, "() ()"),  # of a YAML file that has none
    ],
    ids=["with a template", "empty"],
)
def test_a_repair_with_a_spec_leaves_out_what_its_templates_say(
    process: Executor, spec: Mapping[str, Any], compared: str
) -> None:
    assert process.submit(repaired_spec, spec).result() == [compared, compared]


def out_of_time() -> list[str]:
    from datetime import timedelta

    from airflow.sdk.exceptions import AirflowTaskTimeout

    from windlass.airflow import acts, status_dag
    from windlass.errors import WindlassError

    os.environ["AIRFLOW_CONN_POSTGRES_TARGET"] = "postgres://db/shop"
    task: Any = status_dag("past").get_task("list_runs")
    task.execution_timeout = timedelta(minutes=5)
    params = {"target_conn_id": "postgres_target"}
    ti = Tasks("list_runs")
    try:
        with patch.object(acts, "list_runs", side_effect=AirflowTaskTimeout("Timeout")):
            task.execute({"ti": ti, "params": params})
    except WindlassError:
        return list(ti.xcoms["list_runs"]["problems"])
    return []


def test_an_act_that_is_out_of_time_says_so(process: Executor) -> None:
    (problem,) = process.submit(out_of_time).result()
    assert problem == "not finished within its time limit of 0:05:00"


def test_a_repair_changes_no_more_than_what_was_approved(desk: Desk) -> None:
    desk.pair.target.run("delete from t where id = 1")
    seen = desk.trigger("windlass_repair")
    desk.pair.target.run("delete from t where id = 2")
    refused = desk.trigger("windlass_repair", seen)
    assert refused.failed == "repair"
    assert "public.t: what this would do has changed since it was approved" in refused.problems
    assert desk.pair.target.value("select count(*) from t") == 8


def test_a_repair_of_other_rows_than_those_approved_is_refused(desk: Desk) -> None:
    desk.pair.target.run("delete from t where id = 1")
    seen = desk.trigger("windlass_repair")
    desk.pair.target.run("insert into t values (1, 1)", "delete from t where id = 2")
    refused = desk.trigger("windlass_repair", seen)  # as many rows as before
    assert refused.failed == "repair"
    assert "public.t: what this would do has changed since it was approved" in refused.problems
    assert desk.pair.target.value("select count(*) from t") == 9


def test_a_repair_that_nobody_has_to_approve_compares_once(desk: Desk) -> None:
    desk.pair.target.run("delete from t where id = 1", "insert into t values (11, 11)")
    done = desk.trigger("windlass_repair", kinds=["insert"], yes=True)
    assert done.failed == "repair"  # the row that may not be deleted still differs
    assert "public.t (id = 11)" in done.problems
    assert desk.pair.target.rows("select min(id), max(id), count(*) from t") == [(1, 11, 11)]
    assert "nobody is asked" in done.xcoms["compare_both_sides"]["text"]


def test_equal_sides_need_no_repair_and_no_answer(desk: Desk) -> None:
    done = desk.trigger("windlass_repair")
    assert not done.asked
    assert done.result("repair")["state"] == "done"
    assert [run["flow"] for run in desk.runs()] == ["migrate"]
