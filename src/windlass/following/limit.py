"""The time limit of a freeze: how long writers may wait. Everything that waits checks it."""

from __future__ import annotations

import threading
import time

from windlass.errors import TakenBack
from windlass.model.units import seconds_text


class Limit:
    """Starts when it is made. Setting `stop` ends it early."""

    def __init__(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.seconds = seconds
        self._stop = stop or threading.Event()
        self._started = time.monotonic()

    @property
    def passed_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def left_seconds(self) -> float:
        """The time left; 0 once it is over."""
        return max(self.seconds - self.passed_seconds, 0.0)

    def check(self, doing: str, who: str = "") -> None:
        """Raise if the limit is reached. `doing` is what is waited for, `who` causes the wait.

        Raises:
            TakenBack: the time is over, or somebody wants it to stop.
        """
        if self._stop.is_set():
            raise TakenBack(
                "interrupted", hint="run the same command again", stopped_by="interrupted"
            )
        if not self.left_seconds:
            because = f": {who}" if who else ""
            raise TakenBack(
                f"{doing} took longer than {seconds_text(self.seconds)}{because}",
                stopped_by="time",
            )

    def wait(self, seconds: float, doing: str, who: str = "") -> None:
        """Wait for at most this time.

        Raises:
            TakenBack: as `check`.
        """
        self.check(doing, who)
        self._stop.wait(min(seconds, self.left_seconds))
        self.check(doing, who)
