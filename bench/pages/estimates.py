"""The page on what plans estimate, and what migrations take."""

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
from bench.result import Case, Metric, Result, is_held
from windlass.model.units import bytes_text


def render(results: Sequence[Result]) -> str:
    (result,) = results
    cases = result.group("")
    held = sum(map(is_held, cases))
    return document(
        "# Estimates",
        "What `windlass plan` estimates, and what the migration then took.",
        made_from(results),
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        f"The estimate held in {held} of {len(cases)} cases.",
        _table(cases),
        goals_table(result),
        notes(result),
    )


def _table(cases: Sequence[Case]) -> str:
    head = ["case", "rows and TOAST", "estimate, s", "took, s", "held"]
    return table(head, map(_cells, cases))


def _cells(case: Case) -> list[str]:
    size_mib = case.figure(Metric.SIZE_MIB)
    low, high = case.figure(Metric.LOW_SECONDS), case.figure(Metric.HIGH_SECONDS)
    return [
        case.title,
        bytes_text(round(size_mib * 2**20)) if size_mib is not None else "",
        f"{fixed(low, 1)} to {fixed(high, 1)}" if low is not None else "",
        "**failed**" if case.failed else median_of(case, Metric.SECONDS, 1),
        "yes" if is_held(case) else "no",
    ]
