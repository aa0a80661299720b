"""The page on other engines: a section for each benchmark that has been run."""

from collections.abc import Sequence

from bench.pages.markdown import (
    cases_table,
    document,
    made_from,
    median_column,
    seconds_column,
    section_of,
    span_column,
)
from bench.result import Metric, Result

HEAD = """\
# Other engines

Whole migrations: reading the catalog, scanning every row for types that hold all values, copying,
keys and indexes, statistics and, where it says so, the comparison of every row. Starting the
program is in the time. After every run sums over the rows are compared; other rows get no figures.
"""

SECTIONS = {
    "engines-sqlite": (
        "SQLite into PostgreSQL",
        "On two cores. pgloader compares nothing, and makes `real` of doubles: their last digits"
        "\nare lost, which the sums allow for.",
    ),
}


def render(results: Sequence[Result]) -> str:
    return document(HEAD, made_from(results), *(_section(one) for one in results))


def _section(result: Result) -> str:
    title, text = SECTIONS[result.benchmark]
    groups = list(dict.fromkeys(case.group for case in result.cases))
    return section_of(title, result, text, *(_table(result, group) for group in groups))


def _table(result: Result, group: str) -> str:
    return cases_table(
        group,
        result.group(group),
        seconds_column(),
        span_column(Metric.SECONDS, 1),
        median_column(Metric.ROWS_PER_SECOND, 0),
        median_column(Metric.CPU_SECONDS, 1),
        median_column(Metric.PEAK_MB, 0),
    )
