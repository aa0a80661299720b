"""The page on what Airflow adds to a migration, and where its seconds go."""

from collections.abc import Sequence

from bench.pages.markdown import (
    cases_table,
    fixed,
    goals_table,
    median_column,
    median_of,
    page_of,
    seconds_column,
    span_column,
    table,
)
from bench.result import Case, Metric, Result

INTRODUCTION = """\
Data and servers are those of the first case in [benchmarks](benchmarks.md). Both ways verify every
row; the validation DAG, which the form triggers by default, is left out (`trigger_validation` is
off).
"""

PATH = """\
## Where they go

The longest chain of tasks, each of which waited for the one before, in the run with the median
time, in seconds. Waiting is the time from the end of the previous task until the worker begins: the
scheduler, the queue, and the start of a process that loads Airflow and the DAG.
"""

MAPPED = """\
## Mapped tasks that do nothing

CPU is that of the whole machine, which was otherwise idle.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return page_of(
        "What Airflow adds",
        results,
        INTRODUCTION,
        cases_table(
            "first case, fully verified",
            result.group(""),
            seconds_column(),
            span_column(Metric.SECONDS, 1),
        ),
        goals_table(result),
        PATH,
        _path(result.group("tasks")),
        MAPPED,
        cases_table(
            "items",
            result.group("mapped"),
            seconds_column(),
            median_column(Metric.SECONDS_EACH, 2, "each"),
            median_column(Metric.CPU_SECONDS_EACH, 2),
        ),
    )


def _path(tasks: Sequence[Case]) -> str:
    metrics = (Metric.WAITING_SECONDS, Metric.WORKER_SECONDS)
    rows = [[task.title, *(median_of(task, metric, 2) for metric in metrics)] for task in tasks]
    sums = (sum(task.figure(metric) or 0.0 for task in tasks) for metric in metrics)
    total = ["**together**", *(f"**{fixed(seconds, 1)}**" for seconds in sums)]
    return table(["task", "waiting", "in the worker"], [*rows, total])
