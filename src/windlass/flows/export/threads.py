"""What the threads of one process that exports share."""

from __future__ import annotations

import threading
from collections.abc import Collection


class Threads:
    def __init__(self, jobs: int) -> None:
        self.reading = threading.BoundedSemaphore(jobs)  # of all sessions that read rows
        self._lock = threading.Lock()
        self._done: set[str] = set()

    def completes(self, name: str, names: Collection[str]) -> bool:
        """Whether `name`, which is done, is the last of these."""
        with self._lock:
            self._done.add(name)
            return self._done >= set(names)
