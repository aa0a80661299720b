"""What `windlass plan --follow` calls. Writes nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from windlass.flows.follow.hold import FollowHold
from windlass.model.event import Emit
from windlass.spec.migrate import Spec

if TYPE_CHECKING:
    from windlass.flows.migrate.unfinished import Planned


def plan_following(spec: Spec, emit: Emit) -> Planned:
    """What `migrate` would do, and whether it could follow.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    with closing(FollowHold(spec)) as hold:
        hold.connect()
        # slow to load, so both sides are reached first
        from windlass.flows.follow.context import Following

        with Following(spec, emit, hold=hold) as run, run.watching():
            return run.read_plan()
