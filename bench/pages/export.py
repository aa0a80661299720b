"""The page on exports into files and into DuckDB."""

from collections.abc import Sequence

from bench.pages.markdown import (
    data_text,
    document,
    fixed,
    goals_table,
    made_from,
    measured_on,
    median_of,
    notes,
    span_of,
    surroundings_list,
    table,
)
from bench.result import Case, Metric, Result

FLOOR = "copy"


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return document(
        "# Export",
        made_from(results),
        data_text(result),
        "[Benchmarks](benchmarks.md) copy the same relation.",
        measured_on(result),
        surroundings_list(result),
        _table(result),
        goals_table(result),
        "Memory by rows, one run each; DuckDB's own memory counts where it loads:",
        _memory(result),
        notes(result),
    )


def _table(result: Result) -> str:
    floor = result.case(FLOOR)
    rows = [
        [
            case.title,
            "**failed**" if case.failed else median_of(case, Metric.SECONDS, 1),
            span_of(case, Metric.SECONDS, 1),
            _times(case, floor),
            median_of(case, Metric.ROWS_PER_SECOND, 0),
            median_of(case, Metric.CPU_SECONDS, 1),
            median_of(case, Metric.PEAK_MB, 0),
        ]
        for case in result.group("")
    ]
    head = ["", "seconds", "min-max", "times COPY", "rows/s", "client CPU seconds"]
    return table([*head, "client peak MB"], rows)


def _times(case: Case, floor: Case | None) -> str:
    """By rows/s, of which pages have kept more digits than of seconds."""
    own = case.figure(Metric.ROWS_PER_SECOND)
    least = floor.figure(Metric.ROWS_PER_SECOND) if floor else None
    return fixed(least / own, 2) if own and least else ""


def _memory(result: Result) -> str:
    rows = [[case.title, median_of(case, Metric.PEAK_MB, 0)] for case in result.group("memory")]
    return table(["", "client peak MB"], rows)
