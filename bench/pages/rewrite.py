"""The page on rewrites in place."""

from collections.abc import Sequence

from bench.pages.markdown import (
    data_text,
    document,
    goals_table,
    made_from,
    measured_on,
    median_of,
    notes,
    span_of,
    surroundings_list,
    table,
)
from bench.result import Metric, Result


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return document(
        "# Rewriting in place",
        made_from(results),
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        _table(result),
        goals_table(result),
        notes(result),
    )


def _table(result: Result) -> str:
    rows = [
        [
            case.title,
            "**failed**" if case.failed else median_of(case, Metric.SECONDS, 1),
            span_of(case, Metric.SECONDS, 1),
            median_of(case, Metric.CPU_SECONDS, 1),
            median_of(case, Metric.PEAK_MB, 0),
        ]
        for case in result.cases
    ]
    return table(["", "seconds", "min-max", "client CPU seconds", "client peak MB"], rows)
