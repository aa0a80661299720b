"""The page on how soon commands start."""

from collections.abc import Sequence

from bench.pages.markdown import (
    Column,
    cases_table,
    failed_or,
    fixed,
    goals_table,
    page_of,
    seconds_column,
)
from bench.result import Case, Metric, Result, Statistic

INTRODUCTION = """\
The time from the start of the process until `windlass --version` ends, and until `windlass plan`
opens its first connection. A listening socket stands in for both databases. The shortest of the
runs counts, as other work on the machine can only add to it.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return page_of(
        "Start-up time",
        results,
        INTRODUCTION,
        cases_table("", result.cases, *COLUMNS),
        goals_table(result),
    )


def _least(case: Case) -> str:
    return failed_or(case, fixed(case.figure(Metric.SECONDS, Statistic.MINIMUM), 3))


def _most(case: Case) -> str:
    spread = case.spread(Metric.SECONDS)
    return fixed(spread.high if spread else None, 3)


def _least_cpu(case: Case) -> str:
    return fixed(case.figure(Metric.CPU_SECONDS, Statistic.MINIMUM), 3)


COLUMNS: tuple[Column, ...] = (
    ("least seconds", _least),
    seconds_column(3, "median"),
    ("most", _most),
    ("least CPU seconds", _least_cpu),
)
