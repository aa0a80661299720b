"""How fast a stream is, from samples of where the log is and where it is applied. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 10.0
CAUGHT_UP_BYTES = 256 << 10  # less does not count as behind: others write while we measure


@dataclass(frozen=True, slots=True)
class Sample:
    """Positions as numbers, at a moment of this process's clock."""

    at: float
    written: int  # the end of the log that is read
    applied: int  # the position up to which it is applied
    changes: int  # applied since the beginning


class Pace:
    """The rates over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        self._samples.append(sample)
        while self._samples[0].at < sample.at - WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def behind_bytes(self) -> int:
        """Bytes that are written to the log and not applied yet. Other databases share the log."""
        if not self._samples:
            return 0
        last = self._samples[-1]
        return max(last.written - last.applied, 0)

    @property
    def in_bytes_per_second(self) -> float:
        return self._rate("written")

    @property
    def out_bytes_per_second(self) -> float:
        return self._rate("applied")

    @property
    def changes_per_second(self) -> float:
        return self._rate("changes")

    @property
    def catch_up_seconds(self) -> float | None:
        """When the target will have caught up; None if never at this rate."""
        if self.behind_bytes <= CAUGHT_UP_BYTES:
            return 0.0
        gain = self.out_bytes_per_second - self.in_bytes_per_second
        return self.behind_bytes / gain if gain > 0 else None

    def _rate(self, what: str) -> float:
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        passed = last.at - first.at
        return float(max(getattr(last, what) - getattr(first, what), 0) / passed) if passed else 0.0
