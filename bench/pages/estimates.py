"""The page on what plans estimate, and what migrations take."""

from collections.abc import Sequence

from bench.pages.markdown import (
    Column,
    cases_table,
    fixed,
    goals_table,
    page_of,
    seconds_column,
)
from bench.result import Case, Metric, Result, is_held
from windlass.model.units import bytes_text


def render(results: Sequence[Result]) -> str:
    (result,) = results
    cases = result.group("")
    held = sum(map(is_held, cases))
    return page_of(
        "Estimates",
        results,
        "What `windlass plan` estimates, and what the migration then took.",
        f"The estimate held in {held} of {len(cases)} cases.",
        cases_table("case", cases, *COLUMNS),
        goals_table(result),
    )


def _size(case: Case) -> str:
    size_mib = case.figure(Metric.SIZE_MIB)
    return "" if size_mib is None else bytes_text(round(size_mib * 2**20))


def _estimate(case: Case) -> str:
    low, high = case.figure(Metric.LOW_SECONDS), case.figure(Metric.HIGH_SECONDS)
    return f"{fixed(low, 1)} to {fixed(high, 1)}" if low is not None else ""


COLUMNS: tuple[Column, ...] = (
    ("rows and TOAST", _size),
    ("estimate, s", _estimate),
    seconds_column(1, "took, s"),
    ("held", lambda case: "yes" if is_held(case) else "no"),
)
