"""What is measured of a run, made from its outcome alone: so a new flow is measured like any other.

The names are those of `windlass.airflow.metrics`, as Prometheus spells names: ``windlass.run.rows``
is ``windlass_run_rows``. Every series has the labels `flow`, `source`, `target` and `name`; a run's
id is not a label, as every run would be a new series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from windlass.model.outcome import Outcome, State

Key = tuple[str, tuple[tuple[str, str], ...]]  # a series: its name, and its labels by their names
Samples = Mapping[Key, float]

ENDS = (
    State.DONE,
    State.DIFFERENT,
    State.LOSSY,
    State.REFUSED,
    State.STOPPED,
    State.INTERRUPTED,
)
"""How a run can end: each has a series, 0 where it never has."""

FINAL = (State.DONE, State.DIFFERENT, State.LOSSY)
"""Ends after which no command resumes the run, so that its rows are counted once."""


@dataclass(frozen=True, slots=True)
class Family:
    """The series of one name."""

    name: str
    kind: str  # counter or gauge
    help: str


RUNS = Family("windlass_runs_total", "counter", "Runs that have ended, by the state they ended in.")
ROWS = Family("windlass_rows_total", "counter", "Rows of all runs that are finished.")
BYTES = Family("windlass_bytes_total", "counter", "Bytes that all finished runs have copied.")
STATE = Family("windlass_run_state", "gauge", "1 for the state that the last run ended in, else 0.")
LAST = Family("windlass_run_timestamp_seconds", "gauge", "When the last run ended.")
SUCCESS = Family(
    "windlass_run_success_timestamp_seconds", "gauge", "When a run last ended as done."
)
COUNTED = Family(
    "windlass_run_counted_rows",
    "gauge",
    "Rows of the last run, by what became of them, as its flow counts them.",
)
RUN_FAMILIES = (
    Family("windlass_run_seconds", "gauge", "How long the last run took."),
    Family("windlass_run_rows", "gauge", "Rows of the last run: copied, compared or written."),
    Family("windlass_run_bytes", "gauge", "Bytes that the last run copied."),
    Family("windlass_run_relations", "gauge", "Relations of the last run."),
    Family("windlass_run_losses", "gauge", "Kinds of losses that the last run named."),
    Family("windlass_run_differences", "gauge", "Differences that the last run found."),
    Family("windlass_run_problems", "gauge", "Problems for which the last run was refused."),
)
FAMILIES = (RUNS, ROWS, BYTES, STATE, LAST, SUCCESS, *RUN_FAMILIES, COUNTED)


def numbers(outcome: Outcome) -> dict[str, float]:
    """The numbers of one run, by the last word of their names: `windlass_run_...` here,
    `windlass.run...` on Airflow."""
    proof = outcome.proof
    return {
        "seconds": outcome.seconds,
        "rows": outcome.rows or outcome.totals.counts.get("written", 0),
        "bytes": outcome.bytes,
        "relations": len(outcome.relations),
        "losses": len(outcome.losses),
        "differences": max(len(proof.differences), sum(proof.differing_rows.values())),
        "problems": len(outcome.reason.problems),
    }


def series(family: str, labels: Mapping[str, str]) -> Key:
    """An empty label counts as absent, as in Prometheus itself."""
    return family, tuple(sorted((name, value) for name, value in labels.items() if value))


def is_of(key: Key, labels: Mapping[str, str]) -> bool:
    """Whether a series is of the runs with these labels; it may have other labels as well."""
    found = dict(key[1])
    return all(found.get(name, "") == value for name, value in labels.items())


def after(outcome: Outcome, labels: Mapping[str, str], before: Samples, now: float) -> Samples:
    """All series of the runs with these labels, now that another has ended. `before` may have
    series of others; `now` is in seconds since 1970."""
    found = _values(outcome, labels, before, now)
    return {series(name, {**labels, **more}): value for name, more, value in found}


def _values(
    outcome: Outcome, labels: Mapping[str, str], before: Samples, now: float
) -> Iterator[tuple[str, Mapping[str, str], float]]:
    def known(family: Family, **more: str) -> float:
        return before.get(series(family.name, {**labels, **more}), 0.0)

    found = numbers(outcome)
    for state in dict.fromkeys((*ENDS, outcome.state)):
        is_last = outcome.state is state
        yield RUNS.name, {"state": state}, known(RUNS, state=state) + is_last
        yield STATE.name, {"state": state}, float(is_last)
    adds = outcome.state in FINAL and not outcome.course.already
    yield ROWS.name, {}, known(ROWS) + adds * found["rows"]
    yield BYTES.name, {}, known(BYTES) + adds * found["bytes"]
    yield LAST.name, {}, now
    success = now if outcome.state is State.DONE else known(SUCCESS)
    if success:
        yield SUCCESS.name, {}, success
    for family in RUN_FAMILIES:
        yield family.name, {}, found[family.name.removeprefix("windlass_run_")]
    for what, rows in outcome.totals.counts.items():
        yield COUNTED.name, {"what": what}, rows
