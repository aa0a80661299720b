"""The page on exports into files and into DuckDB."""

from collections.abc import Sequence

from bench.pages.markdown import (
    cases_table,
    fixed,
    goals_table,
    median_column,
    page_of,
    seconds_column,
    span_column,
)
from bench.result import Case, Metric, Result

FLOOR = "copy"


def render(results: Sequence[Result]) -> str:
    (result,) = results
    floor = result.case(FLOOR)
    return page_of(
        "Export",
        results,
        "[Benchmarks](benchmarks.md) copy the same relation from server to server.",
        cases_table(
            "",
            result.group(""),
            seconds_column(),
            span_column(Metric.SECONDS, 1),
            ("times COPY", lambda case: _times(case, floor)),
            median_column(Metric.ROWS_PER_SECOND, 0),
            median_column(Metric.CPU_SECONDS, 1),
            median_column(Metric.PEAK_MB, 0),
        ),
        goals_table(result),
        *_small(result),
        "Memory by rows, one run each; DuckDB's own memory counts where it loads:",
        cases_table("", result.group("memory"), median_column(Metric.PEAK_MB, 0)),
    )


def _small(result: Result) -> list[str]:
    cases = result.group("small")
    if not cases:  # a result from before these were measured
        return []
    columns = seconds_column(), span_column(Metric.SECONDS, 1), median_column(Metric.CPU_SECONDS, 1)
    return [
        "58 tables of 20 to 50 rows each, with everything that starting a program takes:",
        cases_table("", cases, *columns),
    ]


def _times(case: Case, floor: Case | None) -> str:
    """By rows/s, of which pages have kept more digits than of seconds."""
    own = case.figure(Metric.ROWS_PER_SECOND)
    most = floor.figure(Metric.ROWS_PER_SECOND) if floor else None
    return fixed(most / own, 2) if own and most else ""
