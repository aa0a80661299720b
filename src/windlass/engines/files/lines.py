"""Finds where records begin in a file. Records requested in ascending order, as bad values are,
share one pass over the file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

# of a block: its first record, its number of records, and a function for the line of one of them
Block = tuple[int, int, Callable[[int], int]]


class Lines:
    """Lines by records, from 1. May be used by several threads."""

    def __init__(self, blocks: Callable[[], Iterator[Block]]) -> None:
        self._blocks = blocks
        self._lock = threading.Lock()
        self._left: Iterator[Block] = iter(())
        self._now: Block | None = None

    def of(self, record: int) -> int:
        """0 if there is no such record."""
        with self._lock:
            if self._now is None or record < self._now[0]:
                self._left = self._blocks()
                self._now = next(self._left, None)
            while self._now is not None and record >= self._now[0] + self._now[1]:
                self._now = next(self._left, None)
            return self._now[2](record) if self._now is not None else 0
