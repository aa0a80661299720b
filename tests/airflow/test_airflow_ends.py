"""How a run on Airflow ends: what is reported of failures, differences and deadlines."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reading_dags import (
    MIGRATION,
    VALIDATION,
    Instance,
    Read,
    both,
    dag_of,
    light_candles,
    party_dag,
    serialized,
)
from windlass.airflow.board import Board
from windlass.airflow.findings import REDEFINE, REPAIR
from windlass.errors import WindlassError
from windlass.model.flow import Step

# what is reported when a run ends


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Over(Instance):
    """The task that Airflow names when a run is over: the last one that ended like the run."""

    task_id: str = "light_candles"
    states: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    task: Any = None

    def xcom_pull(
        self, task_ids: str | list[str], map_indexes: int | None = None, key: str = "return_value"
    ) -> Any:
        found = self.problems if key == "problems" else self.results
        if isinstance(task_ids, str):
            return found.get(task_ids)
        return [found[one] for one in task_ids if one in found]

    def get_task_states(self, **_: Any) -> dict[str, Any]:
        return {self.run_id: self.states}


def ending(callback: str, over: Over | None) -> list[tuple[str, str]]:
    """What Airflow has the notifiers of a DAG say: subject and text, of each."""
    from windlass.airflow import Ending, Notices

    notices = Notices(email=("a@example.com",), webhook_conn_id="chat")
    dag = party_dag(ending=Ending(notices))
    if over:
        over.task = dag.get_task(over.task_id)
    reported = []
    notifiers: Any = getattr(dag, callback)
    for notifier in notifiers:
        context: Any = {"dag": dag, "run_id": "tonight", **({"ti": over} if over else {})}
        notifier.render_template_fields(context)
        text = getattr(notifier, "html_content", None) or notifier.text
        reported.append((getattr(notifier, "subject", ""), text))
    return reported


def test_a_run_whose_only_failed_task_is_the_one_airflow_names_is_reported_as_failed(
    process: Executor,
) -> None:
    over = Over(states={"light_candles": "failed"}, problems={"light_candles": ["no <matches> &"]})
    mail, chat = process.submit(ending, "on_failure_callback", over).result()
    assert mail == (
        "party: failed",
        "<pre>party tonight: failed\nlight_candles: no &lt;matches&gt; &amp;</pre>",
    )
    assert chat[1] == "party tonight: failed\nlight_candles: no <matches> &"


def test_a_failure_without_words_names_the_task(process: Executor) -> None:
    over = Over(states={"light_candles": "failed", "greet_0": "upstream_failed"})
    (_, text), _ = process.submit(ending, "on_failure_callback", over).result()
    assert "see the log of: light_candles" in text


def test_a_run_that_fails_without_a_failed_task_is_reported_as_failed(process: Executor) -> None:
    """It took too long, or somebody failed it; Airflow may then name no task at all."""
    for over in (Over(states={"light_candles": "running"}), None):
        mail, _ = process.submit(ending, "on_failure_callback", over).result()
        assert mail == ("party: failed", "<pre>party tonight: failed\nsee the web UI</pre>")


def test_a_good_end_is_reported_with_the_summary(process: Executor) -> None:
    over = Over(results={"write_diary": {"candles": 3, "losses": ["a <b> loss"], "greetings": []}})
    mail, chat = process.submit(ending, "on_success_callback", over).result()
    assert mail == (
        "party: done",
        "<pre>party tonight: done\ncandles: 3\nloss: a &lt;b&gt; loss</pre>",
    )
    assert chat[1] == "party tonight: done\ncandles: 3\nloss: a <b> loss"


def test_quantities_are_for_people_and_the_run_can_be_opened(process: Executor) -> None:
    result = {"run": "r", "seconds": 1097.4, "total_bytes": 141_598_101}
    over = Over(results={"write_diary": result})
    mail, chat = process.submit(ending_with_address, over).result()
    where = "http://airflow.example/dags/party/runs/tonight"
    assert chat[1] == (
        f"party tonight: done\nrun: r\nseconds: 18 min 17 s\ntotal_bytes: 135 MB\n{where}"
    )
    assert where in mail[1]


def ending_with_address(over: Over) -> list[tuple[str, str]]:
    os.environ["AIRFLOW__API__BASE_URL"] = "http://airflow.example/"
    try:
        return ending("on_success_callback", over)
    finally:
        del os.environ["AIRFLOW__API__BASE_URL"]


# what comes between a migration's steps


@dataclass
class Asked(Over):
    """A task that asks Airflow for other DAGs."""

    pauses: dict[str, bool] = field(default_factory=dict)  # by DAG
    others: dict[str, list[str]] = field(default_factory=dict)  # problems of the other run's tasks
    reports: dict[str, Any] = field(default_factory=dict)  # results of the other run's tasks
    reported: dict[str, Any] = field(default_factory=dict)

    def get_dag(self, dag_id: str) -> Any:
        from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        if dag_id not in self.pauses:
            missing = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404})
            raise AirflowRuntimeError(missing)
        return SimpleNamespace(is_paused=self.pauses[dag_id])

    def xcom_pull(
        self, task_ids: Any, map_indexes: Any = None, key: str = "return_value", **_: Any
    ) -> Any:
        found = self.others if key == "problems" else self.reports
        return [found[one] for one in task_ids if one in found]

    def xcom_push(self, key: str, value: Any) -> None:
        self.reported[key] = value


def gate(task_id: str, method: str, ti: Asked, *more: Any) -> tuple[str, list[str]]:
    """How a gate of the example DAG fails, and the problems that it tells."""
    from airflow.sdk.exceptions import AirflowFailException

    task: Any = dag_of(MIGRATION).get_task(task_id)
    params = {"trigger_validation": True, "require_approval": False}
    try:
        found = getattr(task, method)({"ti": ti, "params": params}, *more)
    except AirflowFailException as error:
        return str(error), ti.reported["problems"]
    return repr(found), []


@pytest.mark.parametrize(
    ("pauses", "said"), [({}, "there is no DAG"), ({VALIDATION: True}, f"{VALIDATION} is paused")]
)
def test_that_a_run_could_not_be_validated_is_reported_before_anything_is_written(
    process: Executor, pauses: dict[str, bool], said: str
) -> None:
    summary, problems = process.submit(
        gate, "approve_migration", "execute", Asked(pauses=pauses)
    ).result()
    assert summary.startswith(said)
    assert problems == [summary]
    late, _ = process.submit(
        gate, "trigger_validation_dag", "execute", Asked(pauses=pauses)
    ).result()
    assert late.startswith(said)
    assert late.endswith("then clear hold_snapshot and this task together")


def test_a_validation_dag_that_is_there_is_no_obstacle(process: Executor) -> None:
    there = Asked(pauses={VALIDATION: False})
    found, _ = process.submit(gate, "approve_migration", "execute", there).result()
    assert "not asked for" in found


@pytest.mark.parametrize("task", ["generate_validation_report", "read_both_sides"])
def test_a_failed_validation_says_why_wherever_it_stopped(process: Executor, task: str) -> None:
    ti = Asked(others={task: [f"row {n}" for n in range(7)]})
    event = ("", {"run_ids": ["there"], "there": "failed"})
    words = ("trigger_validation_dag", "execute_complete", ti, event)
    _, problems = process.submit(gate, *words).result()
    assert problems[0] == f"{VALIDATION} failed: row 0"
    assert problems[-1] == f"{VALIDATION} failed: and 2 more in run there"


def places(dag_id: str, settings: Mapping[str, str]) -> tuple[Any, ...]:
    """Of an example DAG where Airflow's settings have a section `windlass`: the pool and the width
    of its mapped tasks, and its folder of reports."""
    names = {f"AIRFLOW__WINDLASS__{key.upper()}": value for key, value in settings.items()}
    os.environ.update(names)
    try:
        dag = dag_of(dag_id)
    finally:
        for name in names:
            del os.environ[name]
    read = Read.of(serialized(dag))
    mapped = [read.tasks[name] for name in read.mapped]
    folders: list[str] = [one.report_folder for one in dag.tasks if hasattr(one, "report_folder")]
    return (
        {task.get("pool", "default_pool") for task in mapped},
        {task["max_active_tis_per_dagrun"] for task in mapped},
        *folders,
    )


@both
def test_the_example_dags_use_the_pool_and_the_folder_that_the_settings_name(
    process: Executor, dag_id: str
) -> None:
    plain = process.submit(places, dag_id, {}).result()
    assert plain == ({"default_pool"}, {16}, "")
    words = {"pool": "windlass", "max_parallel": "44", "report_folder": "/reports"}
    assert process.submit(places, dag_id, words).result() == ({"windlass"}, {44}, "/reports")


def differ(folder: str) -> dict[str, Any]:
    """What the end of a comparison leaves behind that has found differences."""
    from airflow.sdk.exceptions import AirflowFailException

    from windlass.errors import Different
    from windlass.model.report import Difference, DifferenceKind

    class Part:
        step = Step("end", light_candles)
        outcome = None
        words = None
        arrived = ()

        def run(self) -> None:
            found = Difference(DifferenceKind.COUNT, "shop.item", "has too few rows")
            raise Different([found], {"state": "different", "relations": 2})

    dag = dag_of(VALIDATION)
    task: Any = dag.get_task("generate_validation_report")
    task.report_folder = folder
    task.part = lambda *_: Part()
    ti = Asked()
    with pytest.raises(AirflowFailException):
        task.execute({"ti": ti, "params": dag.params})
    return ti.reported


def test_a_report_is_written_of_differences_too(process: Executor, tmp_path: Path) -> None:
    reported = process.submit(differ, str(tmp_path / "reports")).result()
    result = json.loads(Path(reported["report"].removeprefix("file://")).read_text())
    assert (result["state"], result["relations"]) == ("different", 2)
    assert [one["object"] for one in result["differences"]] == ["shop.item"]
    assert reported["return_value"] == {
        key: value for key, value in result.items() if key != "each_relation"
    }
    assert reported["problems"] == [
        "1 difference(s) between the two sides",
        "shop.item: has too few rows",
        REPAIR,
    ]


def test_differences_are_reported_where_no_report_can_be_written(
    process: Executor, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    reported = process.submit(differ, str(tmp_path / "file")).result()
    assert reported["return_value"]["state"] == "different"
    assert reported["problems"]


# what the last task does about a check that has failed before it


def finished(states: dict[str, str], folder: str = "", url: str = "") -> dict[str, Any]:
    """What the end of a migration leaves behind whose own comparison has found nothing."""
    from airflow.sdk.exceptions import AirflowFailException

    from windlass.flows.migrate.outline import MIGRATE
    from windlass.model.flow import Words
    from windlass.model.outcome import Outcome, Proof, State
    from windlass.spec.migrate import Spec

    ti = Asked(states=states)

    class Part:
        step = Step("generate_migration_summary", light_candles)
        outcome = Outcome("20260101_0000_abcd", State.DONE, 3.0, proof=Proof("full"))
        flow, arrived, spec = MIGRATE, (), Spec.of(metrics_file=f"{folder or '/dev/null'}/w.prom")
        words = Words("migrate", "Migrating", "Migrated", "migration", "")
        board = Board(ti)  # type: ignore[arg-type]

        def run(self) -> dict[str, Any]:
            return {"": {"run": "20260101_0000_abcd", "state": "done", "assets": []}}

    task: Any = dag_of(MIGRATION).get_task("generate_migration_summary")
    task.report_folder, task.report_url, task.outlets = folder, url, []
    task.part = lambda *_: Part()
    handler = Lines()
    ours = logging.getLogger("windlass")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        task.execute({"ti": ti, "params": {}})
    except AirflowFailException as error:
        ti.reported["failed"] = str(error)
    finally:
        ours.removeHandler(handler)
    return {**ti.reported, "log": handler.lines}


def test_a_migration_whose_validation_has_failed_is_red_though_it_is_over(
    process: Executor,
) -> None:
    reported = process.submit(finished, {"trigger_validation_dag": "failed"}).result()
    assert reported["failed"].startswith("trigger_validation_dag has failed, see its log")
    assert reported["return_value"]["state"] == "done"
    good = process.submit(finished, {"trigger_validation_dag": "success"}).result()
    assert "failed" not in good


def test_the_last_task_logs_how_the_run_ended(process: Executor) -> None:
    (metrics, first, second, *_) = process.submit(finished, {}).result()["log"]
    assert metrics == "the metrics were not written into /dev/null/w.prom: not a directory"
    assert first == "✓ Migrated in 3.00 s"
    assert second.strip().startswith("Verified: schema, sequences, row counts and the content")


def test_a_report_is_a_page_and_its_link_leads_to_it(process: Executor, tmp_path: Path) -> None:
    reported = process.submit(finished, {}, str(tmp_path), "https://reports.example/a/").result()
    assert reported["report_url"] == "https://reports.example/a/party_tonight.html"
    page = (tmp_path / "party_tonight.html").read_text()
    assert "Done and verified" in page and "airflow party tonight" in page
    assert "windlass rollback 20260101_0000_abcd" in page
    assert 'windlass_runs_total{flow="migrate",state="done"} 1' in (tmp_path / "w.prom").read_text()
    assert json.loads((tmp_path / "party_tonight.json").read_text())["state"] == "done"


def test_a_report_that_no_browser_can_reach_has_no_link(process: Executor, tmp_path: Path) -> None:
    reported = process.submit(finished, {}, str(tmp_path)).result()
    assert "report_url" not in reported
    assert reported["report"].endswith("party_tonight.json")


def test_without_a_folder_of_reports_the_page_is_beside_the_log(process: Executor) -> None:
    page = Path(process.submit(finished, {}).result()["report"])
    place = ("dag_id=party", "run_id=tonight", "task_id=light_candles", "report.html")
    assert page.parts[-4:] == place
    assert "Done and verified" in page.read_text()


def found_by_the_other_run() -> dict[str, Any]:
    """What the task that waits for the validation DAG passes on of its differences."""
    from airflow.sdk.exceptions import AirflowFailException

    report = {"state": "different", "differences": [{"object": "shop.item"}]}
    ti = Asked(reports={"generate_validation_report": report})
    task: Any = dag_of(MIGRATION).get_task("trigger_validation_dag")
    with pytest.raises(AirflowFailException):
        task.execute_complete({"ti": ti}, ("", {"run_ids": ["there"], "there": "failed"}))
    return ti.reported


def test_what_the_validation_dag_has_found_is_passed_on_to_the_summary(process: Executor) -> None:
    found = process.submit(found_by_the_other_run).result()
    assert found["differences"] == [{"object": "shop.item"}]
    checks = process.submit(checks_of_the_summary).result()
    assert checks == ("trigger_validation_dag",)


def checks_of_the_summary() -> Any:
    task: Any = dag_of(MIGRATION).get_task("generate_migration_summary")
    return task.checks


def searched() -> list[str]:
    """The log of a task that has found differences, in the middle of a run."""
    from windlass.model.report import Difference, DifferenceKind

    changed = Difference(DifferenceKind.CHANGED, "shop.item", "differs in note", {"id": "77"})
    schema = Difference(DifferenceKind.SCHEMA, "view shop.sold", "is missing on the target")

    class Part:
        step = Step("find_differences", light_candles)

        def run(self) -> dict[str, Any]:
            return {"": {"differences": [changed.to_json(), schema.to_json()]}}

    handler = Lines()
    ours = logging.getLogger("windlass")
    ours.addHandler(handler)
    task: Any = dag_of(MIGRATION).get_task("find_differences")
    task.part = lambda *_: Part()
    try:
        task.execute({"ti": Asked(), "params": {}})
    finally:
        ours.removeHandler(handler)
    return handler.lines


def test_differences_are_logged_by_the_task_that_finds_them_and_how_to_mend_them(
    process: Executor,
) -> None:
    assert process.submit(searched).result() == [
        "2 difference(s) between the two sides",
        "shop.item (id = 77): differs in note",
        "view shop.sold: is missing on the target",
        f"{REPAIR}; {REDEFINE}",
    ]


# what a task says that fails


def overtime() -> tuple[str, list[str]]:
    """A task that Airflow stops at its time limit."""
    from airflow.sdk.exceptions import AirflowTaskTimeout

    def part(*_: Any) -> Any:
        raise AirflowTaskTimeout

    dag = party_dag()
    task: Any = dag.get_task("light_candles")
    task.execution_timeout, task.part = timedelta(minutes=5), part
    ti = Asked()
    with pytest.raises(WindlassError) as caught:  # which is retried; `on_kill` is not reached
        task.execute({"ti": ti, "params": dag.params})
    return str(caught.value), ti.reported["problems"]


def test_a_task_beyond_its_time_limit_says_so(process: Executor) -> None:
    said, problems = process.submit(overtime).result()
    assert problems == [said] == ["not finished within its time limit of 0:05:00"]


def waits() -> dict[str, bool]:
    """Of tasks that find no server: whether they wait for it without a slot."""
    from airflow.sdk.exceptions import AirflowRescheduleException

    from windlass.errors import ConnectionLost

    def part(*_: Any) -> Any:
        raise ConnectionLost("gone")

    found = {}
    dags = {dag_id: dag_of(dag_id) for dag_id in (MIGRATION, VALIDATION)}
    for dag_id, name, number in (
        (MIGRATION, "extract_source_schema", 1),
        (MIGRATION, "hold_snapshot", 1),
        (MIGRATION, "create_target_schema", 1),
        (VALIDATION, "read_both_sides", 1),
        (VALIDATION, "read_both_sides", 2),
    ):
        task: Any = dags[dag_id].get_task(name)
        task.part = part
        try:
            task.execute({"ti": Asked(try_number=number), "params": dags[dag_id].params})
        except AirflowRescheduleException:
            found[f"{name} {number}"] = True
        except WindlassError as error:
            found[f"{name} {number}"] = not error.args
    return found


def test_a_server_is_waited_for_but_by_the_first_task_at_first(process: Executor) -> None:
    assert process.submit(waits).result() == {
        "extract_source_schema 1": False,
        "hold_snapshot 1": True,
        "create_target_schema 1": True,
        "read_both_sides 1": False,
        "read_both_sides 2": True,
    }
