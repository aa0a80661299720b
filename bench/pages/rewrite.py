"""The page on rewrites in place."""

from collections.abc import Sequence

from bench.pages.markdown import (
    cases_table,
    goals_table,
    median_column,
    page_of,
    seconds_column,
    span_column,
)
from bench.result import Metric, Result


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return page_of(
        "Rewriting in place",
        results,
        "",
        cases_table(
            "",
            result.cases,
            seconds_column(),
            span_column(Metric.SECONDS, 1),
            median_column(Metric.CPU_SECONDS, 1),
            median_column(Metric.PEAK_MB, 0),
            median_column(Metric.LONGEST_STATEMENT_SECONDS, 2),
        ),
        goals_table(result),
    )
