"""Sessions that stay open between the calls of a run, so that each call need not connect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Idle sessions, each lent to one call at a time. A session whose call failed is closed."""

    def __init__(self, close: Callable[[T], object]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._idle: list[T] = []

    @contextmanager
    def one(self, open_one: Callable[[], T], *, keep: bool = True) -> Iterator[T]:
        """An idle session, or a new one. Without `keep` it is closed afterwards."""
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        session = open_one() if idle is None else idle
        try:
            yield session
        except BaseException:
            self._close(session)
            raise
        if not keep:
            self._close(session)
            return
        with self._lock:
            self._idle.append(session)

    def close(self) -> None:
        """Close those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            self._close(session)
