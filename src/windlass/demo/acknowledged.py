"""Reads what the clients of a ledger have recorded so far, from their files as these grow."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from windlass.demo.ledger import LINE_WORDS


@dataclass(frozen=True, slots=True)
class Pause:
    """The longest time that a client waited between two acknowledgements."""

    seconds: float
    client: str


@dataclass
class Acknowledged:
    """When each transfer was acknowledged, by client; and how many were, by port. Several threads
    may use it."""

    folder: Path
    by_port: Counter[int] = field(default_factory=Counter)
    by_second: Counter[tuple[int, int]] = field(default_factory=Counter)  # by port and whole second
    _times: dict[str, list[float]] = field(default_factory=dict)
    _offsets: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        return self.by_port.total()

    def read(self) -> None:
        """Take in what is new."""
        with self._lock:
            for file in self.folder.glob("client-*"):
                self._read(file)

    def _read(self, file: Path) -> None:
        with file.open("rb") as lines:
            lines.seek(self._offsets[file.name])
            new, end, _ = lines.read().rpartition(b"\n")
        self._offsets[file.name] += len(new) + len(end)
        times = self._times.setdefault(file.name, [])
        for line in new.splitlines():
            words = line.split()
            if len(words) == LINE_WORDS:
                at, port = float(words[1]), int(words[2])
                times.append(at)
                self.by_port[port] += 1
                self.by_second[port, int(at)] += 1

    def all_after(self, moment: float) -> bool:
        """Whether every client has written since then."""
        with self._lock:
            return all(times and times[-1] > moment for times in self._times.values())

    def longest(self, since: float, until: float) -> Pause:
        """The longest of the waits that overlap the time between these."""
        with self._lock:
            waits = [
                Pause(later - earlier, client)
                for client, times in self._times.items()
                for earlier, later in pairwise(times)
                if later >= since and earlier <= until
            ]
        return max(waits, key=lambda one: one.seconds, default=Pause(0.0, ""))
