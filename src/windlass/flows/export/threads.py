"""What the threads of one process that exports share."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Threads:
    def __init__(self, jobs: int) -> None:
        self.reading = threading.BoundedSemaphore(jobs)  # of all sessions that read rows
        self._lock = threading.Lock()
        self._done: set[str] = set()
        self._one_by_one = threading.Lock()
        self._firsts: set[str] = set()

    @contextmanager
    def first(self, name: str) -> Iterator[bool]:
        """True for the first thread, for which the others wait. If it fails, the next one is
        first."""
        with self._one_by_one:
            yield name not in self._firsts
            self._firsts.add(name)

    def completes(self, name: str, names: Collection[str]) -> bool:
        """Note that `name` is done; returns whether all of `names` are."""
        with self._lock:
            self._done.add(name)
            return self._done >= set(names)
