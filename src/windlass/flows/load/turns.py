"""One after the other, in a given order, whichever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from windlass.errors import Interrupted


class Turns:
    """Keeps track of which items are done and which wait. A runner starts items in their order, so
    the first one never waits for a later one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._done: set[str] = set()
        self.are_over = False

    @contextmanager
    def of(self, name: str, order: Sequence[str]) -> Iterator[None]:
        """Wait for those before this one. A failed turn may be tried again.

        Raises:
            Interrupted: one before it has failed for good.
        """
        before = set(order[: order.index(name)])
        with self._changed:
            self._changed.wait_for(lambda: self.are_over or before <= self._done)
            if self.are_over:
                raise Interrupted("stopped on request")
        yield
        with self._changed:
            self._done.add(name)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no other item begin."""
        with self._changed:
            self.are_over = True
            self._changed.notify_all()
