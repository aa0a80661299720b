"""What `windlass plan` calls for a migration. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from windlass.flows.holding import hold_of
from windlass.model.event import Emit
from windlass.spec.migrate import Spec

if TYPE_CHECKING:
    from windlass.engines.postgres.hold import Hold
    from windlass.flows.migrate.context import Migration
    from windlass.flows.migrate.unfinished import Planned


def plan_migration(spec: Spec, emit: Emit) -> Planned:
    """What `migrate` would do.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    hold = hold_of(spec)

    def opened() -> Migration:
        from windlass.flows.migrate.context import Migration

        return Migration(spec, emit, hold=hold)

    return read_planned(hold, opened)


def read_planned(hold: Hold, opened: Callable[[], Migration]) -> Planned:
    """Read the plan of a run that is `opened` once both sides are reached: what it needs is slow to
    load."""
    with closing(hold):
        hold.connect()
        with opened() as run, run.watching():
            return run.read_plan()
