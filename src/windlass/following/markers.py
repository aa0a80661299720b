"""Markers: rows written into the database that a stream reads, to learn when they arrive.

The time in between is measured by this process's clock alone, so the clocks of servers do not
matter. A marker also moves the stream of a source that nobody writes to.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection
from windlass.journal.following import write_marker
from windlass.model.following import Direction, Purpose

WINDOW_SECONDS = 60.0
MOST_UNDERWAY = 10_000  # of markers; older ones count as lost


@dataclass(frozen=True, slots=True)
class Lag:
    """The lag of the markers of the last minute, in milliseconds; None if none has arrived."""

    last_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


class Markers:
    """The markers of one stream. `write` belongs to one thread, `arrived` to another."""

    def __init__(
        self,
        run: str,
        direction: Direction,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._direction, self._clock = run, direction, clock
        self._lock = threading.Lock()
        self._underway: dict[int, float] = {}  # when each was committed
        self._lags: deque[tuple[float, float]] = deque()  # when it arrived, and how late
        self._newest = 0  # the newest that has arrived

    def write(self, session: Connection, purpose: Purpose) -> int:
        """Write the next marker, in a session that may write to the database that is read; it is
        committed when this returns."""
        side = "source" if self._direction is Direction.FORWARD else "target"
        with explaining("writing a marker", side=side):
            number = write_marker(session, self._run, self._direction, purpose)
        with self._lock:
            if number > self._newest:  # otherwise it arrived before the answer to its commit
                self._underway[number] = self._clock()
            while len(self._underway) > MOST_UNDERWAY:
                del self._underway[next(iter(self._underway))]
        return number

    def arrived(self, number: int) -> float | None:
        """Note that a marker is about to be committed on the other side, and so are all earlier
        ones. Returns its lag in milliseconds; None if another process wrote it."""
        now = self._clock()
        with self._lock:
            self._newest = max(self._newest, number)
            written = self._underway.get(number)
            for one in [one for one in self._underway if one <= number]:
                del self._underway[one]
            if written is None:
                return None
            lag_ms = (now - written) * 1000
            self._lags.append((now, lag_ms))
        return lag_ms

    def lag(self) -> Lag:
        """The lag. If a marker has been on its way for longer than the last one took, its time
        counts."""
        now = self._clock()
        with self._lock:
            while self._lags and self._lags[0][0] < now - WINDOW_SECONDS:
                self._lags.popleft()
            found = sorted(lag for _, lag in self._lags)
            oldest = min(self._underway.values(), default=None)
            last = self._lags[-1][1] if self._lags else None
        waiting = None if oldest is None else (now - oldest) * 1000
        if waiting is not None and waiting > (last or 0.0):
            last = waiting
        return Lag(last, _percentile(found, 0.5), _percentile(found, 0.99))


def _percentile(found: list[float], share: float) -> float | None:
    """Of sorted values, the smallest that at least this share of them does not exceed."""
    return found[math.ceil(share * len(found)) - 1] if found else None
