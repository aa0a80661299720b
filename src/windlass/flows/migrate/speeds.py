"""The basis of a plan's estimate: both servers as measured now, and earlier runs into the
target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import psycopg

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.speed import Measured, measure
from windlass.errors import Refused
from windlass.journal import door, records
from windlass.model.outcome import State
from windlass.model.plan import Plan
from windlass.model.relation import Relation
from windlass.planning.estimate import ASSUMED, LEARNED, MEASURED, Speeds, Work, estimate

# The source's share of a migration's work.
SOURCE_SHARE = 0.4
LEARN_FROM = 3  # runs
LEAST_SECONDS = 2.0  # shorter ones are mostly start-up
MOST_CORRECTION = 5.0


def read_speeds(source: Connection, target: Connection, relations: Sequence[Relation]) -> Speeds:
    """Takes about a second. What cannot be measured is assumed, which widens the range."""
    try:
        with source.transaction(), target.transaction():
            found = measure(source, target, [one for one in relations if one.holds_rows])
    except psycopg.errors.InsufficientPrivilege:  # the plan's problems name it
        return ASSUMED
    speeds = Speeds(
        cpu=SOURCE_SHARE * found.source_cpu + (1 - SOURCE_SHARE) * found.target_cpu,
        read_byte=found.read_byte,
        round_trip=found.round_trip,
        spread=MEASURED,
        basis=_basis(found),
    )
    return _corrected(speeds, _ratios(target, speeds))


def _basis(found: Measured) -> str:
    rate = f"the source reads {1 / found.read_byte / 1e6:.0f} MB/s, " if found.read_byte else ""
    return (
        f"measured just now: {rate}the source's CPU takes {found.source_cpu:.1f} times and the"
        f" target's {found.target_cpu:.1f} times as long as the reference, round trips"
        f" {found.round_trip * 1000:.1f} ms"
    )


def _ratios(target: Connection, speeds: Speeds) -> list[float]:
    """For the newest runs into this target: actual time divided by what would be forecast now."""
    try:
        runs = records.read_migrations(target) if door.exists(target) else []
    except (psycopg.errors.InsufficientPrivilege, Refused):  # the journal belongs to another user
        return []
    ratios: list[float] = []
    for run in runs:
        outcome = run.outcome
        if run.state is not State.DONE or outcome is None or outcome.course.resumed:
            continue
        expected = estimate(work_of(records.read_plan(target, run.run)), speeds).seconds
        if expected >= LEAST_SECONDS:
            ratios.append(outcome.seconds / expected)
        if len(ratios) == LEARN_FROM:
            break
    return ratios


def _corrected(speeds: Speeds, ratios: Sequence[float]) -> Speeds:
    if not ratios:
        return speeds
    ratio = min(max(statistics.median(ratios), 1 / MOST_CORRECTION), MOST_CORRECTION)
    runs = "the last run" if len(ratios) == 1 else f"the last {len(ratios)} runs"
    return replace(
        speeds,
        correction=ratio,
        spread=LEARNED,
        basis=f"{speeds.basis}; corrected by what {runs} into this target took",
    )


def work_of(plan: Plan) -> Work:
    return Work(
        plan.relations,
        plan.statements,
        plan.how.jobs,
        plan.how.verify,
        plan.how.copies_rows,
        refreshed_bytes=plan.estimate.refreshed_bytes,
    )
