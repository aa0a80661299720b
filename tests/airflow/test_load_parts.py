"""The tasks of a load one after the other, each in its own context, without an Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from load_targets import LoadTarget, target
from other_tasks import TaskTimes
from web_server import serving, with_ranges
from windlass.airflow.work import Part
from windlass.errors import CannotResume, RowsRefused
from windlass.flows.load.outline import LOAD
from windlass.model.flow import ONE, Result, Step
from windlass.model.outcome import Outcome, StartedBy
from windlass.spec.load import LoadSpec

__all__ = ["target"]  # fixtures

STEPS = tuple(step.name for step in LOAD.steps)
EXTERNAL = "airflow load_shop scheduled__2026-01-01T00:00:00+00:00"
NEW = "id,total,note\n2,20,b\n3,33,cc\n4,40,d\n"


@dataclass
class Others(TaskTimes):
    """The results of the other tasks, as Airflow would show them to a task."""

    started_by: StartedBy = field(default_factory=lambda: StartedBy(EXTERNAL, "http://airflow"))
    found: dict[str, Mapping[str, Result]] = field(default_factory=dict)

    def has_ended(self, task: str) -> bool:
        return task in self.found

    def result(self, task: str) -> Result | None:
        return self.found.get(task, {}).get(ONE.id)

    def problems(self, task: str) -> list[str]:
        return []

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        found = self.result(step.task)  # of items a task keeps nothing
        return {ONE.id: found} if found else {}


@dataclass
class DagRun:
    """One DAG run."""

    target: LoadTarget
    others: Others = field(default_factory=Others)
    source: str = "orders.csv"
    outcome: Outcome | None = None

    def do(self, *steps: str) -> None:
        words = {"target": self.target.url, "from": self.source, "into": "orders"}
        spec = LoadSpec.of(**words, load="merge", key="id")
        for name in steps:
            step: Step[Any] = LOAD.step(name)
            part = Part(LOAD, step, spec, self.others)  # type: ignore[arg-type]
            self.others.task = step.task
            self.others.found[step.task] = part.run()
            self.outcome = part.outcome


@pytest.fixture
def run(target: LoadTarget, monkeypatch: pytest.MonkeyPatch) -> DagRun:
    monkeypatch.setenv("XDG_CACHE_HOME", str(target.folder / "cache"))
    target.file("orders.csv", NEW)
    return DagRun(target)


def test_its_tasks_do_what_the_command_does_and_each_again_changes_nothing(run: DagRun) -> None:
    for name in STEPS:
        run.do(name)
        run.do(name)
    assert run.outcome is not None and run.outcome.totals.counts["updated"] == 1
    assert run.target.orders() == ["1 10 a", "2 20 b", "3 33 cc", "4 40 d"]
    (status,) = run.target.windlass("status", "--json").expect(0).result["runs"]
    assert (status["state"], status["external_run"]) == ("done", EXTERNAL)


def test_the_next_run_of_the_dag_has_nothing_to_do_and_is_done(run: DagRun) -> None:
    run.do(*STEPS)
    later = DagRun(run.target, Others(started_by=StartedBy(f"{EXTERNAL} later")))
    later.do(*STEPS)
    assert later.outcome is not None and later.outcome.state == "done"
    assert any("is as run" in one for one in later.others.found["read_inputs"][ONE.id]["notices"])


def test_no_task_downloads_what_the_server_says_is_unchanged(run: DagRun) -> None:
    with serving(with_ranges(NEW.encode())) as server:
        DagRun(run.target, source=f"{server.url}/rows.csv").do(*STEPS)
        before = len(server.asked)
        others = Others(started_by=StartedBy(f"{EXTERNAL} later"))
        later = DagRun(run.target, others, f"{server.url}/rows.csv")
        later.do(*STEPS)
        assert later.outcome is not None and later.outcome.state == "done"
        assert [one.headers["if-none-match"] for one in server.asked[before:]] == ['"1"']


def test_an_input_that_changes_between_two_tasks_is_noticed(run: DagRun) -> None:
    run.do("read_inputs", "stage_rows")
    run.target.file("orders.csv", NEW.replace("33", "34"))
    with pytest.raises(CannotResume, match="has changed since run"):
        run.do("check_rows")
    assert run.target.orders() == ["1 10 a", "2 20 b", "3 30 c"]


def test_rows_that_cannot_be_loaded_fail_their_task_and_change_nothing(run: DagRun) -> None:
    run.target.file("orders.csv", "id,total,note\n4,x,d\n")
    run.do("read_inputs")
    with pytest.raises(RowsRefused) as caught:
        run.do("stage_rows")
    assert "line 2, column total" in caught.value.problems[0].message
    assert run.target.orders() == ["1 10 a", "2 20 b", "3 30 c"]
