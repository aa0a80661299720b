"""How fast a rewrite goes: it pauses between batches, and waits for standbys that lag behind."""

from __future__ import annotations

from windlass.flows.rewrite.context import Rewriting
from windlass.inplace.standbys import read_lag
from windlass.model.event import Noticed

LOOK_SECONDS = 0.5


class Pace:
    """Between batches nothing is locked."""

    def __init__(self, run: Rewriting) -> None:
        self._run = run
        self._is_first = True
        self._has_told = False

    def keep(self) -> None:
        """Wait as long as the spec asks for.

        Raises:
            Interrupted: the run has to stop.
        """
        spec = self._run.spec
        if spec.pause_seconds and not self._is_first:
            self._run.hold.wait(spec.pause_seconds)
        self._is_first = False
        if spec.max_lag_seconds is not None:
            self._wait_for_standbys(spec.max_lag_seconds)

    def _wait_for_standbys(self, most_seconds: float) -> None:
        while lag := read_lag(self._run.connection, most_seconds):
            if not self._has_told:
                self._has_told = True
                self._run.emit(
                    Noticed(
                        f"standby {lag.standby} is {lag.seconds:.1f} s behind: writing waits until"
                        f" that is at most {most_seconds:g} s"
                    )
                )
            self._run.hold.wait(LOOK_SECONDS)
