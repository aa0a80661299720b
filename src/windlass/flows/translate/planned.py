"""What `windlass plan` calls for a source of another engine. Writes nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from windlass.flows.translate.hold import TranslateHold
from windlass.model.event import Emit
from windlass.spec.migrate import Spec

if TYPE_CHECKING:
    from windlass.flows.migrate.unfinished import Planned


def plan_translation(spec: Spec, emit: Emit) -> Planned:
    """What `migrate` would do.

    Raises:
        Refused: an unfinished run has other options, or is at work.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    with closing(TranslateHold(spec)) as hold:
        hold.connect()
        # slow to load, so both sides are reached first
        from windlass.flows.translate.context import Translation

        with Translation(spec, emit, hold=hold) as run, run.watching():
            return run.read_plan()
