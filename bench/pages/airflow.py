"""The page on what Airflow adds to a migration, and where its seconds go."""

from collections.abc import Sequence

from bench.pages.markdown import (
    data_text,
    document,
    fixed,
    goals_table,
    made_from,
    measured_on,
    median_of,
    span_of,
    surroundings_list,
    table,
)
from bench.result import Case, Metric, Result

INTRODUCTION = """\
Data and servers are those of the first case in [benchmarks](benchmarks.md). Both ways verify every
row themselves; the validation DAG, which the form triggers by default, is left out
(`trigger_validation` is off).
"""

PATH = """\
## Where they go

The tasks that each waited for the one before, in the run with the median time; seconds.
Waiting: from the end of the task before until the worker has begun, which is the
scheduler's turn, the queue, and the start of a process that loads Airflow and the DAG.
"""

MAPPED = """\
## Mapped tasks that do nothing

CPU is that of the whole machine, on which nothing else ran.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return document(
        "# What Airflow adds",
        made_from(results),
        INTRODUCTION,
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        _compared(result),
        goals_table(result),
        PATH,
        _path(result.group("tasks")),
        MAPPED,
        _mapped(result.group("mapped")),
    )


def _compared(result: Result) -> str:
    rows = [
        [case.title, median_of(case, Metric.SECONDS, 1), span_of(case, Metric.SECONDS, 1)]
        for case in result.group("")
    ]
    return table(["first case, fully verified", "seconds", "min-max"], rows)


def _path(tasks: Sequence[Case]) -> str:
    metrics = (Metric.WAITING_SECONDS, Metric.WORKER_SECONDS)
    rows = [[task.title, *(median_of(task, metric, 2) for metric in metrics)] for task in tasks]
    sums = (sum(task.figure(metric) or 0.0 for task in tasks) for metric in metrics)
    total = ["**together**", *(f"**{fixed(seconds, 1)}**" for seconds in sums)]
    return table(["task", "waiting", "in the worker"], [*rows, total])


def _mapped(cases: Sequence[Case]) -> str:
    rows = [
        [
            case.title,
            median_of(case, Metric.SECONDS, 1),
            median_of(case, Metric.SECONDS_EACH, 2),
            median_of(case, Metric.CPU_SECONDS_EACH, 2),
        ]
        for case in cases
    ]
    return table(["items", "seconds", "each", "CPU seconds each"], rows)
