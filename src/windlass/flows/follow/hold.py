"""What a run that follows holds, in addition to a migration's hold: its request to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.flows.holding import parse_sides
from windlass.model.following import Phase
from windlass.spec.migrate import Spec


class FollowHold(Hold):
    """A hold that keeps only the target's lock once the rows are copied."""

    def __init__(self, spec: Spec, holder: SnapshotHolder | None = None) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(*parse_sides(spec), holder=holder)
        self.stopping = threading.Event()
        self.phase = Phase.COPYING  # when this process took over the run

    def _connect_target(self) -> None:
        """Let it write its journal even while the target is closed to others, after a flip back."""
        super()._connect_target()
        write_regardless(self.control)

    def leave_source_for(self, act: Callable[[], None]) -> None:
        """Do what the locks of the session that has read the source would prevent; a new session
        reads it afterwards."""
        self.leave_source()
        act()
        self._connect_source()

    def cancel(self) -> None:
        """Also end waits for changes."""
        self.stopping.set()
        super().cancel()
