"""What `windlass plan` calls for a migration. Writes nothing."""

from __future__ import annotations

from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.unfinished import Planned
from windlass.model.event import Emit
from windlass.spec.migrate import Spec


def plan_migration(spec: Spec, emit: Emit) -> Planned:
    """What `migrate` would do.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    with Migration(spec, emit) as run, run.watching():
        return run.read_plan()
