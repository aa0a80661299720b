"""The page on how fast the page of `windlass serve` loads."""

from collections.abc import Sequence

from bench.pages.markdown import (
    Column,
    cases_table,
    goals_table,
    median_column,
    page_of,
    span_column,
)
from bench.result import Metric, Result

INTRODUCTION = """\
The [page](page.md) beside the journal of a large run, in Debian's Chromium with an empty cache: the
time from the start of a navigation until something is painted (first contentful paint), and the
largest response, uncompressed.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return page_of(
        "How fast the page loads",
        results,
        INTRODUCTION,
        cases_table("", result.cases, *COLUMNS),
        goals_table(result),
    )


COLUMNS: tuple[Column, ...] = (
    median_column(Metric.FIRST_PAINT_SECONDS, 2),
    span_column(Metric.FIRST_PAINT_SECONDS, 2),
    median_column(Metric.LARGEST_RESPONSE_KB, 0),
)
