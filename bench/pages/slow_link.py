"""The page on many relations over a slow link."""

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
    surroundings_list,
    table,
)
from bench.result import Case, Metric, Result

PG_DUMP = """\
pg_dump reads the source before anything can be written, and the target when all is written, so its
time counts twice, whatever the rest takes. Before version 16 it locks tables one by one, a round
trip each; over a slow link a newer one reads, if there is one.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return document(
        "# Many relations over a slow link",
        made_from(results),
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        _table(result.group("")),
        goals_table(result),
        "The definitions alone, by the pg_dump that such a migration uses:",
        _table(result.group("pg_dump")),
        PG_DUMP,
        notes(result),
    )


def _table(cases: Sequence[Case]) -> str:
    rows = [
        [
            case.title,
            "**failed**" if case.failed else median_of(case, Metric.SECONDS, 1),
            _all_runs(case),
            *(
                median_of(case, metric, 0)
                for metric in (
                    Metric.SOURCE_ROUND_TRIPS,
                    Metric.TARGET_ROUND_TRIPS,
                    Metric.MOST_ROUND_TRIPS,
                )
            ),
        ]
        for case in cases
    ]
    trips = ["round trips to the source", "to the target", "the most of one connection"]
    return table(["", "seconds (median)", "all runs", *trips], rows)


def _all_runs(case: Case) -> str:
    return ", ".join(fixed(run[Metric.SECONDS], 1) for run in case.runs if Metric.SECONDS in run)
