"""The page on many relations over a slow link."""

from collections.abc import Sequence

from bench.pages.markdown import (
    Column,
    cases_table,
    fixed,
    goals_table,
    median_column,
    page_of,
    seconds_column,
)
from bench.result import Case, Metric, Result

PG_DUMP = """\
pg_dump reads the source before anything can be written, and the target after everything is written,
so its time always counts twice. Before version 16 it locks tables one by one, with a round trip
each; over a slow link, a newer pg_dump is used if there is one.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return page_of(
        "Many relations over a slow link",
        results,
        "",
        cases_table("", result.group(""), *COLUMNS),
        goals_table(result),
        "The definitions alone, by the pg_dump that such a migration uses:",
        cases_table("", result.group("pg_dump"), *COLUMNS),
        PG_DUMP,
    )


def _all_runs(case: Case) -> str:
    return ", ".join(fixed(run[Metric.SECONDS], 1) for run in case.runs if Metric.SECONDS in run)


COLUMNS: tuple[Column, ...] = (
    seconds_column(1, "seconds (median)"),
    ("all runs", _all_runs),
    median_column(Metric.SOURCE_ROUND_TRIPS, 0, "round trips to the source"),
    median_column(Metric.TARGET_ROUND_TRIPS, 0, "to the target"),
    median_column(Metric.MOST_ROUND_TRIPS, 0, "the most of one connection"),
)
