"""What a run that follows holds besides the hold of a migration: its wish to stop."""

from __future__ import annotations

import threading

from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.flows.holding import parse_sides
from windlass.model.following import Phase
from windlass.spec.migrate import Spec


class FollowHold(Hold):
    """Once the rows are copied it holds the target's lock alone."""

    def __init__(self, spec: Spec, holder: SnapshotHolder | None = None) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(*parse_sides(spec), holder=holder)
        self.stopping = threading.Event()
        self.phase = Phase.COPYING  # when this process took the run up

    def _connect_target(self) -> None:
        """It writes its journal even while the target is closed to others, after a flip back."""
        super()._connect_target()
        write_regardless(self.control)

    def cancel(self) -> None:
        """Also end what waits for changes."""
        self.stopping.set()
        super().cancel()
