"""The page on how soon commands start."""

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
from bench.result import Metric, Result, Statistic

INTRODUCTION = """\
How long it takes from the start of the process until `windlass --version` ends, and until
`windlass plan` opens its first connection. A listening socket stands in for both databases. The
least of the runs counts: other work on the machine can only add to it.
"""


def render(results: Sequence[Result]) -> str:
    (result,) = results
    return document(
        "# How soon commands start",
        made_from(results),
        INTRODUCTION,
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        _table(result),
        goals_table(result),
        notes(result),
    )


def _table(result: Result) -> str:
    rows = []
    for case in result.cases:
        spread = case.spread(Metric.SECONDS)
        rows.append(
            [
                case.title,
                "**failed**" if case.failed else fixed(spread.low if spread else None, 3),
                median_of(case, Metric.SECONDS, 3),
                fixed(spread.high if spread else None, 3),
                fixed(case.figure(Metric.CPU_SECONDS, Statistic.MINIMUM), 3),
            ]
        )
    return table(["", "least seconds", "median", "most", "least CPU seconds"], rows)
