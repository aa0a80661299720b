"""Opens a run for writing: journals it, or takes it over where it stopped."""

from __future__ import annotations

from windlass.engines.postgres.lock import end_sessions
from windlass.engines.postgres.presence import read_presence
from windlass.flows.migrate.resuming import check_snapshot, check_target
from windlass.flows.migrate.settling import copy_again, settle_emptied
from windlass.flows.sides import Sides
from windlass.flows.translate.finding import check_source
from windlass.flows.translate.hold import TranslateHold
from windlass.journal import door, records
from windlass.journal.journal import Journal
from windlass.journal.records import Run
from windlass.model.outcome import StartedBy


def begin_new(run: Sides, started_by: StartedBy) -> None:
    """Journal the plan and its snapshot."""
    with run.control.transaction():
        door.create(run.control)
        records.insert_run(run.control, run.plan, run.spec.config(), started_by, flow=run.spec.flow)
        records.insert_snapshot(run.control, run.plan.run, run.snapshot, {})
        records.insert_crash_marker(run.control, run.plan.run)


def resume(
    run: Sides, hold: TranslateHold, journal: Journal, found: Run, started_by: StartedBy
) -> None:
    """Take over a stopped run, if its plan still fits both databases.

    Raises:
        CannotResume: it does not.
    """
    plan = run.plan
    end_sessions(run.control, f"windlass {found.run}")
    journal.read(run.control)
    journal.epoch = found.epoch
    taken = [snapshot for snapshot, _ in records.read_snapshots(run.control, found.run)]
    check_source(plan, hold.schema())
    check_target(plan, journal.by_step, read_presence(run.control, side="target"))
    if run.spec.one_snapshot:
        check_snapshot(plan, journal.by_step, taken, hold.snapshot_id)
    same = [one for one in taken if one.id == hold.snapshot_id]
    if not same:
        hold.take_snapshot(len(taken) + 1)
    with run.control.transaction():
        door.create(run.control)
        journal.epoch = records.take_over(run.control, found.run, started_by)
        if not same:
            records.insert_snapshot(run.control, plan.run, run.snapshot, {})
    settle_emptied(run, journal)
    _settle_parts(run, journal)


def _settle_parts(run: Sides, journal: Journal) -> None:
    """Copy tables again if only a part of them was read before the snapshot was lost: other engines
    do not show whether rows were written since."""
    done = journal.lines("copy_chunks")
    parts = []
    for item in run.plan.relations:
        numbers = {done[chunk.id].snapshot for chunk in item.chunks if chunk.id in done}
        copied = sum(chunk.id in done for chunk in item.chunks)
        if 0 < copied < len(item.chunks) and numbers != {run.snapshot.number}:
            parts.append(item)
    copy_again(run, journal, parts, "copied in part when the first snapshot was lost")
