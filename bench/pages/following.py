"""The page on following: a section for each benchmark that has been run."""

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
# Following

Two servers on one machine share its cores with the writers and with Windlass. Both sides are
compared at the end; a difference would fail the case.
"""

SECTIONS = {
    "follow-backlog": (
        "A backlog drained",
        "The time from the moment at which the slot is read until all changes are in the target, so"
        "\nwithout anybody's start. The backlog was made while nobody read it.",
    ),
    "follow-live": ("Writers at full speed", "A marker each second measures the lag."),
    "follow-memory": ("Memory", "The peak of the process that follows."),
    "follow-copy": (
        "The copy",
        "The time until a plain migration has ended, and until one that follows has copied and"
        "\nfollows, both without verification.",
    ),
    "follow-cutover": (
        "Cutovers and flips back",
        "A freeze is the longest time in which no writer got an acknowledgement, in the writers'"
        "\neyes: from the last one on the old side to the first on the new.",
    ),
}


def render(results: Sequence[Result]) -> str:
    return document(HEAD, made_from(results), *(_section(one) for one in results))


def _section(result: Result) -> str:
    title, words = SECTIONS[result.benchmark]
    return section_of(
        title,
        result,
        words,
        cases_table(
            "",
            result.cases,
            seconds_column(2),
            span_column(Metric.SECONDS, 2),
            median_column(Metric.CPU_SECONDS, 1),
            median_column(Metric.PEAK_MB, 0),
            median_column(Metric.TRANSACTIONS_PER_SECOND, 0),
            median_column(Metric.LAG_P99_SECONDS, 2),
            median_column(Metric.DRAIN_SECONDS, 2),
            median_column(Metric.FREEZE_SECONDS, 2),
            median_column(Metric.WORST_FREEZE_SECONDS, 2),
        ),
    )
