"""Journals a run that will follow, and finds out in which phase it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import Connection

from windlass.engines.postgres.session import Address, Role
from windlass.errors import Refused, RunLost
from windlass.flows.follow.unfollowed import OF_SOURCE, of_source
from windlass.flows.sides import Sides
from windlass.following.reopening import OPENING, cutting_over, reopen
from windlass.journal import door, records
from windlass.journal.following import begin_following, read_phase
from windlass.model.following import Phase
from windlass.model.outcome import StartedBy
from windlass.planning.postgres.inputs import wanted

Session = Connection[Any]
FREEZING = (Phase.FREEZING, Phase.FREEZING_BACK)
ALL_OBJECTS = "all_objects"  # in a run's details: whether nothing is left out, so large objects too


def begin_run(run: Sides, started_by: StartedBy) -> None:
    """Journal the plan, what it leaves out, as of the same snapshot, and that it is copied; the
    snapshot in which rows are read is taken after that."""
    with run.control.transaction():
        door.create(run.control)
        config = run.spec.config()
        records.insert_run(run.control, run.plan, config, started_by, flow="follow")
        everything = run.plan.how.copies_rows and wanted(run.spec).is_everything
        outside = [str(one.name) for one in of_source(run.hold.reader, run.plan)]
        begin_following(run.control, run.plan.run, {ALL_OBJECTS: everything, OF_SOURCE: outside})
        records.insert_crash_marker(run.control, run.plan.run)


def forget_run(run: Sides) -> None:
    """Delete a run of which nothing was copied from the journal, and remove its stream."""
    from windlass.flows.follow.removal import remove_source_side  # only a refusal needs it

    found = read_phase(run.control, run.plan.run)
    remove_source_side(run.hold.source, run.plan.run, found[1] if found else {})
    with run.control.transaction():
        run.control.execute("set local synchronous_commit = on")
        run.control.execute("delete from windlass.applied where run = %s", (run.plan.run,))
        run.control.execute("delete from windlass.run where run = %s", (run.plan.run,))


def settled_phase(
    run: str, target: Session, source: Address, notice: Callable[[str], None]
) -> Phase:
    """The phase of a run that follows. First undoes or completes what a dead cutover left; leaves
    one that is at work alone.

    Raises:
        RunLost: the run is not in the journal, or does not follow.
    """
    found = read_phase(target, run)
    if found is None:
        raise RunLost(f"run {run} does not follow any more", side="target")
    phase, detail = found
    if phase not in FREEZING and detail.get(OPENING) is None:
        return phase
    try:
        with cutting_over(target):
            settled = reopen(
                run, target, lambda: source.connect(Role.SOURCE, "windlass reopen"), notice
            )
    except Refused:
        return phase
    return settled or phase
