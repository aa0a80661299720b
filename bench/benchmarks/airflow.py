"""What Airflow adds to a migration, and where its seconds go.

The same data through the command line and through Airflow, alternately in one run; then the cost of
mapped tasks that do nothing. Airflow runs here, with the LocalExecutor, and is warm: it has run a
DAG before anything is measured.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median_low

import psutil

from bench.contestants import WINDLASS_VERIFIED
from bench.data import MIXED
from bench.measure import RunFailed
from bench.race import racing
from bench.result import Case, Figures, Goal, Measured, Metric, Relation, judged
from bench.setup import Setup, rounded
from demo.airflow.client import Client
from demo.airflow.local import LocalAirflow
from demo.airflow.local import Setup as AirflowSetup

DAGS = Path(__file__).parent.parent / "programs" / "airflow_dags.py"
LIMIT_SECONDS = 1800.0
SLOTS = 8
TASKS, MAPPED = "tasks", "mapped"
GOALS = (
    Goal(
        subject="airflow",
        peer=WINDLASS_VERIFIED.name,
        relation=Relation.DIFFERENCE,
        metric=Metric.SECONDS,
        at_most=25.0,
    ),
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task instance of a run, in seconds since the run was triggered."""

    name: str
    scheduled: float
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass(slots=True)
class Scheduled:
    """The contestant: the flow `migrate`, fully verified, as a DAG."""

    airflow: Client
    name: str = "airflow"
    title: str = "Airflow, LocalExecutor, fully verified"
    runs: list[tuple[float, list[Task]]] = field(default_factory=list)

    def run(self, source: str, target: str, folder: Path) -> Figures:
        """Raises:
        RunFailed: the DAG's run failed.
        """
        for side, url in (("source", source), ("target", target)):
            uri = url.replace("postgresql://", "postgres://")
            self.airflow.set_connection(f"bench_{side}", uri)
        conf = {
            "source_conn_id": "bench_source",
            "target_conn_id": "bench_target",
            "trigger_validation": False,
            "jobs": 2,
        }
        self.runs.append(_timed(self.airflow, "bench_migration", conf))
        return {Metric.SECONDS: self.runs[-1][0]}


def measure_airflow(setup: Setup) -> Measured:
    sizes = setup.choose((10, 100, 1_000), (10,))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with _warm_airflow(setup.folder) as airflow:
        mapped = [_mapped(airflow, items) for items in sizes]
        scheduled = Scheduled(airflow)
        with racing(setup) as race:
            data, cases = race.run(MIXED, (WINDLASS_VERIFIED, scheduled))
    tasks = _breakdown(scheduled.runs) if scheduled.runs else []
    return Measured(
        data=f"{data}; LocalExecutor, {SLOTS} slots, warm, on the same machine as both servers",
        cases=(*cases, *tasks, *mapped),
        goals=judged(GOALS, cases),
    )


@contextmanager
def _warm_airflow(folder: Path) -> Iterator[Client]:
    dags = folder / "dags"
    dags.mkdir(parents=True)
    (dags / DAGS.name).write_text(DAGS.read_text())
    with LocalAirflow(folder / "airflow", dags, AirflowSetup(parallelism=SLOTS)) as airflow:
        _timed(airflow.client, "bench_mapped", {"items": 2})
        yield airflow.client


def _timed(airflow: Client, dag_id: str, conf: Mapping[str, object]) -> tuple[float, list[Task]]:
    """Seconds from the trigger to the end by Airflow's own clock, and the tasks.

    Raises:
        RunFailed: the run failed.
    """
    run_id = airflow.trigger(dag_id, conf)
    state = airflow.wait_for(dag_id, run_id, LIMIT_SECONDS)
    if state != "success":
        raise RunFailed(f"{dag_id} {run_id} is {state}")
    run = airflow.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
    began = datetime.fromisoformat(run["queued_at"])

    def since(text: str) -> float:
        return (datetime.fromisoformat(text) - began).total_seconds()

    tasks = [
        Task(
            one["task_id"], *map(since, (one["scheduled_when"], one["start_date"], one["end_date"]))
        )
        for one in airflow.task_instances(dag_id, run_id)
        if one["start_date"] and one["scheduled_when"]
    ]
    return since(run["end_date"]), tasks


def critical_path(tasks: list[Task]) -> list[Task]:
    """From the end back: before each task, the one that ended last before it was scheduled."""
    left = sorted((one for one in tasks if one.name != "hold_snapshot"), key=lambda t: t.ended)
    path: list[Task] = []
    while left:
        path.append(left.pop())
        left = [one for one in left if one.ended <= path[-1].scheduled]
    return path[::-1]


def _breakdown(runs: Sequence[tuple[float, list[Task]]]) -> list[Case]:
    """The tasks on the critical path of the run with the median time."""
    middle = median_low(seconds for seconds, _ in runs)
    tasks = next(tasks for seconds, tasks in runs if seconds == middle)
    cases, before = [], 0.0
    for task in critical_path(tasks):
        figures = {
            Metric.WAITING_SECONDS: task.started - before,
            Metric.WORKER_SECONDS: task.seconds,
        }
        cases.append(Case(name=task.name, title=task.name, group=TASKS, runs=(rounded(figures),)))
        before = task.ended
    return cases


def _mapped(airflow: Client, items: int) -> Case:
    """One run with so many mapped tasks that do nothing; CPU is the whole machine's."""
    before = psutil.cpu_times()
    seconds, _ = _timed(airflow, "bench_mapped", {"items": items})
    after = psutil.cpu_times()
    busy = after.user - before.user + after.system - before.system
    figures = {
        Metric.SECONDS: seconds,
        Metric.SECONDS_EACH: seconds / items,
        Metric.CPU_SECONDS_EACH: busy / items,
    }
    return Case(name=f"mapped-{items}", title=f"{items:,}", group=MAPPED, runs=(rounded(figures),))
