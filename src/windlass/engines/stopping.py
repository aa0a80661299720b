"""The calls in flight of a source's threads, so that all of them can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from windlass.errors import Interrupted


class Stops:
    """Functions that stop running calls. After cancelling, nothing new starts until
    `resume`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Callable[[], object]] = []
        self.cancelled = False

    @contextmanager
    def during(self, stop: Callable[[], object]) -> Iterator[None]:
        """While the context lasts, `cancel` calls `stop`.

        Raises:
            Interrupted: it has been cancelled before.
        """
        with self._lock:
            if self.cancelled:
                raise Interrupted("stopped on request")
            self._calls.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(stop)

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = True
            calls = list(self._calls)
        for call in calls:
            with suppress(Exception):  # a call that cannot be stopped ends by itself
                call()

    def resume(self) -> None:
        """Let calls start again. Those that were cancelled have ended."""
        self.cancelled = False
