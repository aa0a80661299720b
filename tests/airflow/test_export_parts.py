"""The tasks of an export one after the other, each in its own context, without an Airflow.

As `airflow dags test` runs them, and an executor with one slot: none may wait for another.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from awaiting import until
from command import Ran, windlass
from demo.airflow.processes import airflow_command
from exporting import export, files, rows, spec_file
from needs import needs_airflow
from other_tasks import TaskTimes
from servers import Database
from windlass.airflow.work import Part
from windlass.errors import Different, Refused, WindlassError
from windlass.flows.export.outline import EXPORT
from windlass.model.flow import ONE, Result, Step
from windlass.model.outcome import Outcome, StartedBy
from windlass.spec.export import ExportSpec
from windlass.spec.model import validated

STEPS = tuple(step.name for step in EXPORT.steps)
EXTERNAL = "airflow export_shop scheduled__2026-01-01T00:00:00+00:00"
SHOP = (
    "create schema shop",
    "create table shop.orders (id int primary key, at timestamptz not null, note text)",
    "create table shop.item (id int primary key)",
    "insert into shop.orders select n, timestamptz '2024-01-01 00:00Z' + n * interval '1 s', 'new'"
    " from generate_series(1, 100) n",
    "insert into shop.item values (1), (2)",
)


@dataclass
class Others(TaskTimes):
    """The results of the other tasks, as Airflow would show them to a task."""

    started_by: StartedBy = field(default_factory=lambda: StartedBy(EXTERNAL))
    found: dict[str, Result] = field(default_factory=dict)

    def has_ended(self, task: str) -> bool:
        return task in self.found

    def result(self, task: str) -> Result | None:
        return self.found.get(task)

    def problems(self, task: str) -> list[str]:
        return []

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        found = self.result(step.task)
        return {ONE.id: found} if found else {}


@dataclass
class Run:
    """One DAG run."""

    shop: Database
    folder: Path
    words: dict[str, Any] = field(default_factory=dict)
    others: Others = field(default_factory=Others)
    outcome: Outcome | None = None  # of the whole run

    def do(self, *steps: str) -> Mapping[str, Result]:
        """The results of the last."""
        defaults = {"to": f"file://{self.folder}/files", "source": self.shop.url}
        warehouse = f"duckdb:///{self.folder}/w.duckdb"
        spec = validated(ExportSpec, {**defaults, "warehouse": warehouse, **self.words})
        done: Mapping[str, Result] = {}
        for name in steps:
            step, board = EXPORT.step(name), self.others
            part = Part(EXPORT, step, spec, board, patience_seconds=0)  # type: ignore[arg-type]
            self.others.task = step.task
            done = part.run()
            self.outcome = part.outcome or self.outcome
            self.others.found[step.task] = dict(done.get(ONE.id, {}))
            until(lambda: self.sessions() == 0, f"the end of the sessions of {name}")
        return done

    def sessions(self) -> int:
        return int(self.shop.value(
            "select count(*) from pg_stat_activity where application_name like 'windlass%'"
        ))  # fmt: skip

    def status(self, *words: str) -> Ran:
        file = str(spec_file(self.folder, **self.words))
        env = {"WINDLASS_SOURCE": self.shop.url}
        return windlass("status", *words, "-f", file, env=env).expect(0)

    def listed(self) -> dict[str, Any]:
        (one,) = self.status("--json").result["runs"]
        found: dict[str, Any] = one
        return found


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    source = database(16)
    source.run(*SHOP)
    return source


@pytest.fixture
def run(shop: Database, tmp_path: Path) -> Run:
    return Run(shop, tmp_path)


def test_tasks_that_run_one_at_a_time_export_all(run: Run) -> None:
    run.do(*STEPS)
    assert rows(run.folder, "select count(*) from orders") == [(100,)]
    assert rows(run.folder, "select count(*) from item") == [(2,)]
    assert files(run.folder) == []


def test_all_relations_are_read_in_one_snapshot(run: Run) -> None:
    """Taken by the task that reads, after the one that has planned."""
    run.do("read_source")
    run.shop.run("insert into shop.item values (3)")
    done = run.do("extract")
    assert {one["snapshot"] for one in done.values()} == {1}
    assert done["shop.item"]["rows"] == 3


def test_what_is_read_again_is_of_another_snapshot_and_is_named(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.do("read_source", "extract")
    (run.folder / "files" / "shop.item").rename(run.folder / "lost")
    done = run.do("extract")
    assert (done["shop.orders"]["snapshot"], done["shop.item"]["snapshot"]) == (1, 2)
    assert "shop.orders has been read in an earlier snapshot" in caplog.text


def test_a_watermark_ends_where_the_snapshot_that_is_read_ends(run: Run) -> None:
    run.words = {
        "relations": {"name": "shop.orders", "watermark": "at"}, "disposition": "merge",
    }  # fmt: skip
    run.do("read_source")
    run.shop.run("insert into shop.orders values (101, '2024-02-01 00:00Z', 'late')")
    run.do(*STEPS[1:])
    assert rows(run.folder, "select max(watermark) from _windlass_loads") == [
        ("2024-02-01 00:00:00+00",)
    ]


def test_a_run_is_listed_with_the_run_of_the_dag(run: Run) -> None:
    run.do("read_source")
    begun = run.listed()
    assert (begun["state"], begun["active"], begun["external_run"]) == ("running", True, EXTERNAL)
    run.do(*STEPS[1:])
    ended = run.listed()
    assert (ended["state"], ended["rows"], ended["verified"]) == ("done", 102, "rows")
    said = run.status().said
    assert f"{ended['run']}  {EXTERNAL}" in said and "resume" not in said
    assert "started by" in run.status(ended["run"]).said


def test_rows_that_are_gone_when_they_are_counted_are_a_difference(run: Run) -> None:
    run.do("read_source", "extract", "check_objects", "load")
    with duckdb.connect(run.folder / "w.duckdb") as warehouse:
        warehouse.execute("delete from orders where id > 90")
    with pytest.raises(Different) as found:
        run.do("check_rows")
    (lost,) = found.value.differences
    assert (lost.object, str(lost.kind)) == ("orders", "count")
    assert lost.message.startswith("100 rows were read, 90 are in DuckDB")


def test_a_table_that_does_not_fit_is_named_where_it_is_found_and_ends_the_last_task_only(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with duckdb.connect(run.folder / "w.duckdb") as warehouse:
        warehouse.execute("create table item (code int)")
    run.do("read_source")
    (line,) = [one for one in caplog.messages if one.startswith("shop.item: is not exported")]
    assert "item: the table does not fit: id" in line and "schema: add" in line
    run.do(*STEPS[1:-2])
    with pytest.raises(Different) as found:
        run.do("check_rows")
    run.do("clean_up")
    assert [one.object for one in found.value.differences] == ["shop.item"]
    assert rows(run.folder, "select count(*) from orders") == [(100,)]


def test_files_alone_are_listed_too(run: Run) -> None:
    run.words = {"warehouse": None}
    run.do(*STEPS)
    assert (run.listed()["state"], run.listed()["rows"]) == ("done", 102)


def test_the_last_task_reports_the_whole_run(run: Run) -> None:
    run.words = {"warehouse": None}
    run.do("read_source")
    began = datetime.fromisoformat(run.listed()["started_at"])
    run.do(*STEPS[1:-2])
    so_far = datetime.now(UTC) - began
    run.do(*STEPS[-2:])
    assert run.outcome and run.outcome.seconds > so_far.total_seconds()
    assert {"read_source", "extract"} <= run.outcome.course.phases.keys()
    published = json.loads((run.folder / "files" / "latest.json").read_text())
    assert run.outcome.source == published["source"] == run.listed()["source"]
    assert "(PostgreSQL 16" in run.outcome.source


def test_a_run_whose_task_failed_is_listed_as_stopped_until_it_is_cleared(run: Run) -> None:
    run.words = {"relations": {"name": "shop.orders", "key": "note"}, "disposition": "merge"}
    run.do("read_source", "extract", "check_objects")
    with pytest.raises(WindlassError, match="the same key"):
        run.do("load")
    run.do("clean_up")
    assert run.listed()["state"] == "stopped"
    assert "Clear the failed tasks of its DAG run to resume." in run.status().said
    run.shop.run("delete from shop.orders where id > 1")
    run.do("extract", "check_objects", "load", "check_rows", "clean_up")
    assert (run.listed()["state"], run.listed()["rows"]) == ("done", 1)


@pytest.mark.parametrize("cleared", ["read_source", "extract"])
@pytest.mark.parametrize("last", ["read_source", "clean_up"], ids=["unfinished", "done"])
def test_a_run_whose_spec_was_changed_since_is_neither_resumed_nor_reported(
    run: Run, last: str, cleared: str
) -> None:
    run.do(*STEPS[: STEPS.index(last) + 1])
    run.words = {"where": "id <= 1"}
    with pytest.raises(Refused) as caught:
        run.do(cleared)
    assert "began with other options" in str(*caught.value.problems)
    run.words = {"jobs": 1}
    run.do(cleared)


def test_the_command_line_does_not_resume_airflow_s_run(run: Run) -> None:
    run.do("read_source", "extract")
    mine = export(run.shop, run.folder).expect(0).result
    assert not mine["resumed"] and mine["run"] != run.others.found["read_source"]["run"]
    run.do(*STEPS[2:])


def test_nothing_is_cleaned_up_after_a_run_that_never_began(run: Run) -> None:
    assert run.do("clean_up") == {}


def test_a_task_whose_plan_is_gone_says_what_to_clear(run: Run) -> None:
    with pytest.raises(WindlassError, match="read_source has ended without") as caught:
        run.do("extract")
    assert caught.value.hint == "clear read_source as well"


DAG_FILE = """
# an Airflow DAG
from windlass.airflow import export_dag

folder = {folder!r}
shop = export_dag(
    "shop",
    spec={{"to": f"file://{{folder}}/files", "warehouse": f"duckdb:///{{folder}}/w.duckdb"}},
    source_conn_id="shop",
)
"""


def test_airflow_s_own_test_of_a_dag_comes_to_its_end(shop: Database, tmp_path: Path) -> None:
    """`airflow dags test` runs one task at a time, in one process."""
    needs_airflow()
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "shop.py").write_text(DAG_FILE.format(folder=str(tmp_path)))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    env = {
        **kept,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW_CONN_SHOP": shop.url.replace("postgresql:", "postgres:", 1),
    }
    for words in (("db", "migrate"), ("dags", "test", "shop")):
        ran = subprocess.run(
            airflow_command(*words), env=env, capture_output=True, text=True, timeout=300
        )
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert rows(tmp_path, "select count(*) from orders") == [(100,)]


def export_that_differs() -> tuple[str, str]:
    """What a task of an export's DAG, and the block at its end, say of a count that differs."""
    from airflow.sdk.exceptions import AirflowFailException

    from windlass.airflow import export_dag
    from windlass.airflow.ending import block_lines
    from windlass.errors import Different
    from windlass.flows.export.outline import EXPORT
    from windlass.model.outcome import Outcome, Proof, State
    from windlass.model.report import Difference, DifferenceKind

    found = [Difference(DifferenceKind.COUNT, "item", "3 rows were read, 2 are in DuckDB")]

    def part(*_: Any) -> Any:
        raise Different(found)

    spec = {"to": "file:///tmp/none"}
    task: Any = export_dag("lake", spec=spec, source_conn_id="old_shop").get_task("check_rows")
    task.part = part
    told: dict[str, Any] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: told.update({key: value}))
    with pytest.raises(AirflowFailException):
        task.execute({"ti": ti, "params": dict(task.dag.params), "run_id": "tonight"})
    outcome = Outcome("r", State.DIFFERENT, proof=Proof("rows", differences=tuple(found)))
    return "\n".join(told["problems"]), "\n".join(block_lines(outcome, EXPORT.words))


def test_nothing_names_a_repair_where_an_export_has_other_counts(process: Executor) -> None:
    for said in process.submit(export_that_differs).result():
        assert "item: 3 rows were read, 2 are in DuckDB" in said
        assert "repair" not in said and "migrate" not in said
