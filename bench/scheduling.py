"""`python -m bench.scheduling`: what Airflow adds, and where its seconds go.

The first case's data through the command line and through Airflow in the same run, in turn; then
the cost of mapped tasks that do nothing. Airflow runs here, with the LocalExecutor, and is warm:
it has run a DAG before anything is measured.
"""

import argparse
import logging
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from bench.cases import Entry
from bench.contestants import WINDLASS_VERIFIED
from bench.data import MIXED, Scale
from bench.machine import describe_machine
from bench.measure import Figures, Metric, RunFailed
from bench.race import Race
from bench.servers import running
from demo.airflow.client import Client
from demo.airflow.local import LocalAirflow, Setup

log = logging.getLogger(__name__)

DAGS = """
from datetime import timedelta

from airflow.sdk import dag, task

from windlass.airflow import Tuning, migration_dag

moving = migration_dag("moving", tuning=Tuning(retries=0))


@dag(schedule=None, params={"items": 10})
def mapped():
    @task
    def items(params=None):
        return list(range(params["items"]))

    @task
    def nothing(item):
        return None

    @task(trigger_rule="all_done")
    def last():
        return None

    nothing.expand(item=items()) >> last()


mapped()
"""
SIZES = (10, 100, 1000)
MOST_MORE_SECONDS = 25.0
LIMIT_SECONDS = 1800.0
SLOTS = 8


@dataclass(frozen=True)
class Task:
    """One task instance of a run, in seconds since the run was triggered."""

    name: str
    scheduled: float
    queued: float
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass(eq=False)
class Scheduled:
    """The contestant: the flow `migrate`, fully verified, as a DAG."""

    airflow: Client
    name: str = "airflow"
    title: str = "Airflow, LocalExecutor, fully verified"
    runs: list[list[Task]] = field(default_factory=list)

    def run(self, source: str, target: str, folder: Path) -> Figures:
        """Raises:
        RunFailed: the DAG's run ended red.
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
        seconds, tasks = timed(self.airflow, "moving", conf)
        self.runs.append(tasks)
        return {Metric.SECONDS: seconds}


def timed(airflow: Client, dag_id: str, conf: Mapping[str, object]) -> tuple[float, list[Task]]:
    """Seconds from the trigger to the end, as Airflow's own clock has them, and the tasks.

    Raises:
        RunFailed: the run ended red.
    """
    run_id = airflow.trigger(dag_id, conf)
    state = airflow.wait_for(dag_id, run_id, LIMIT_SECONDS)
    if state != "success":
        raise RunFailed(f"{dag_id} {run_id} is {state}")
    run = airflow.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
    began = _moment(run["queued_at"])
    tasks = [
        Task(
            one["task_id"],
            *(
                (_moment(one[key]) - began).total_seconds()
                for key in ("scheduled_when", "queued_when", "start_date", "end_date")
            ),
        )
        for one in airflow.task_instances(dag_id, run_id)
        if one["start_date"] and one["queued_when"]
    ]
    return (_moment(run["end_date"]) - began).total_seconds(), tasks


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def critical_path(tasks: list[Task]) -> list[Task]:
    """From the end back: before each task, the one that ended last before it was scheduled."""
    left = sorted((one for one in tasks if one.name != "hold_snapshot"), key=lambda t: t.ended)
    path: list[Task] = []
    while left:
        path.append(left.pop())
        left = [one for one in left if one.ended <= path[-1].scheduled]
    return path[::-1]


@dataclass(frozen=True)
class Mapped:
    """One run with so many mapped tasks that do nothing."""

    items: int
    seconds: float
    cpu_seconds: float  # of the whole machine, on which nothing else should run

    @classmethod
    def run(cls, airflow: Client, items: int) -> "Mapped":
        before = psutil.cpu_times()
        seconds, _ = timed(airflow, "mapped", {"items": items})
        after = psutil.cpu_times()
        busy = after.user - before.user + after.system - before.system
        return cls(items, seconds, busy)


@contextmanager
def scheduler(folder: Path) -> Iterator[Client]:
    """A warm Airflow."""
    dags = folder / "dags"
    dags.mkdir(parents=True)
    (dags / "bench.py").write_text(DAGS)
    with LocalAirflow(folder / "airflow", dags, Setup(parallelism=SLOTS)) as airflow:
        timed(airflow.client, "mapped", {"items": 2})
        yield airflow.client


def main() -> int:
    """Exit 0: reached; 1: missed or failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scheduling", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=Scale, metavar="{small,full}", default=Scale.FULL)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page, in markdown")
    options = parser.parse_args()
    machine = describe_machine()  # its load is that before the run
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with scheduler(folder) as airflow:
            mapped = [Mapped.run(airflow, size) for size in options.sizes]
            log.info("mapped %s", mapped)
            with running(folder / "source") as source, running(folder / "target") as target:
                race = Race(source, target, folder / "work", options.scale, options.repeat)
                ours, scheduled = Entry(MIXED, WINDLASS_VERIFIED), Scheduled(airflow)
                theirs = Entry(MIXED, scheduled)
                results = race.run([ours, theirs])
    if results.failures:
        print(results.failures)
        return 1
    page, reached = _page(
        results.values(ours, Metric.SECONDS),
        results.values(theirs, Metric.SECONDS),
        scheduled.runs,
        mapped,
        machine,
    )
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0 if reached else 1


def _page(
    ours: list[float],
    theirs: list[float],
    runs: list[list[Task]],
    mapped: list[Mapped],
    machine: Mapping[str, str],
) -> tuple[str, bool]:
    more = statistics.median(theirs) - statistics.median(ours)
    reached = more <= MOST_MORE_SECONDS
    median_run = runs[theirs.index(sorted(theirs)[len(theirs) // 2])]
    lines = [
        "# What Airflow adds",
        "",
        "Made by `python -m bench.scheduling --write docs/benchmarks-airflow.md`, which is part of",
        f"`make bench`; {len(ours)} runs each, in turn. Data and servers are those of the first",
        f"case in [benchmarks](benchmarks.md). Airflow: LocalExecutor, {SLOTS} slots, warm, on the",
        "same machine as both servers. Both verify every row themselves; the validation DAG, which",
        "the form triggers unless it is told not to, is left out (`trigger_validation` is off).",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        "| first case, fully verified | seconds | min-max |",
        "|---|---|---|",
        f"| the command line | {statistics.median(ours):.1f} | {_span(ours)} |",
        f"| Airflow | {statistics.median(theirs):.1f} | {_span(theirs)} |",
        f"| more | {more:.1f}, at most {MOST_MORE_SECONDS:.0f} asked:"
        f" {'reached' if reached else '**missed**'} | |",
        "",
        "## Where they go",
        "",
        "The tasks that each waited for the one before, in the run with the median time; seconds.",
        "Waiting: from the end of the task before until the worker has begun, which is the",
        "scheduler's turn, the queue, and the start of a process that loads Airflow and the DAG.",
        "",
        *_breakdown(median_run),
        "",
        "## Mapped tasks that do nothing",
        "",
        "CPU is that of the whole machine, on which nothing else ran.",
        "",
        "| items | seconds | each | CPU seconds each |",
        "|---|---|---|---|",
        *(
            f"| {one.items:,} | {one.seconds:.1f} | {one.seconds / one.items:.2f}"
            f" | {one.cpu_seconds / one.items:.2f} |"
            for one in mapped
        ),
        "",
    ]
    return "\n".join(lines), reached


def _span(values: list[float]) -> str:
    return f"{min(values):.1f}-{max(values):.1f}"


def _breakdown(tasks: list[Task]) -> list[str]:
    rows = ["| task | waiting | in the worker |", "|---|---|---|"]
    before, waited, worked = 0.0, 0.0, 0.0
    for task in critical_path(tasks):
        waiting = task.started - before
        waited, worked, before = waited + waiting, worked + task.seconds, task.ended
        rows.append(f"| {task.name} | {waiting:.2f} | {task.seconds:.2f} |")
    return [*rows, f"| **together** | **{waited:.1f}** | **{worked:.1f}** |"]


if __name__ == "__main__":
    sys.exit(main())
