"""What `windlass plan --follow` calls. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.flows.follow.hold import FollowHold
from windlass.flows.migrate.planned import read_planned
from windlass.model.event import Emit
from windlass.spec.migrate import Spec

if TYPE_CHECKING:
    from windlass.flows.follow.context import Following
    from windlass.flows.migrate.unfinished import Planned


def plan_following(spec: Spec, emit: Emit) -> Planned:
    """What `migrate` would do, and whether it could follow.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    hold = FollowHold(spec)

    def opened() -> Following:
        from windlass.flows.follow.context import Following

        return Following(spec, emit, hold=hold)

    return read_planned(hold, opened)
