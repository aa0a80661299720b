"""Opens a run for writing: journals it, or takes it over where it stopped."""

from __future__ import annotations

from windlass.engines.postgres import catalog
from windlass.engines.postgres.activity import read_activity
from windlass.engines.postgres.lock import end_sessions
from windlass.engines.postgres.presence import read_presence
from windlass.flows.migrate.resuming import (
    check_key,
    check_overloads,
    check_snapshot,
    check_source,
    check_target,
)
from windlass.flows.migrate.settling import settle_changed, settle_emptied
from windlass.flows.sides import Sides, relation_names
from windlass.journal import door, records
from windlass.journal.journal import Journal
from windlass.journal.records import Run
from windlass.model.outcome import StartedBy


def begin_new(run: Sides, started_by: StartedBy) -> None:
    """Journal the plan and its snapshot."""
    with run.control.transaction():
        door.create(run.control)
        records.insert_run(run.control, run.plan, run.spec.config(), started_by)
        _journal_snapshot(run)
        records.insert_crash_marker(run.control, run.plan.run)


def resume(run: Sides, journal: Journal, found: Run, started_by: StartedBy) -> None:
    """Take over a stopped run, if its plan still fits both databases. `started_by` is
    what resumes it.

    Raises:
        CannotResume: it does not.
    """
    hold, plan = run.hold, run.plan
    end_sessions(run.control, f"windlass {found.run}")
    journal.read(run.control)
    journal.epoch = found.epoch
    before = records.read_snapshots(run.control, found.run)
    check_key(plan)
    check_source(plan, catalog.read_catalog(hold.reader))
    check_target(plan, journal.by_step, read_presence(run.control, side="target"))
    check_overloads(plan, hold.reader, run.control)
    if run.spec.one_snapshot:
        taken = [snapshot for snapshot, _ in before]
        check_snapshot(plan, journal.by_step, taken, hold.snapshot_id)
    handed_over = [snapshot for snapshot, _ in before if snapshot.id == hold.snapshot_id]
    hold.take_snapshot(handed_over[-1].number if handed_over else len(before) + 1)
    with run.control.transaction():
        door.create(run.control)
        journal.epoch = records.take_over(run.control, found.run, started_by)
        if not handed_over:
            hold.lock_relations(relation_names(plan))
            _journal_snapshot(run)
    settle_emptied(run, journal)
    activities = {snapshot.number: activity for snapshot, activity in before}
    settle_changed(run, journal, activities)


def _journal_snapshot(run: Sides) -> None:
    cut = [item.relation.name for item in run.plan.relations if len(item.chunks) > 1]
    activity = read_activity(run.hold.reader, cut) if cut else {}
    records.insert_snapshot(run.control, run.plan.run, run.snapshot, activity)
