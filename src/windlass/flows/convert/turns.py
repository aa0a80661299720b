"""Which tables are copied before others, where the target checks foreign keys row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from threading import Condition, Lock

from windlass.errors import Interrupted

_LOOK_SECONDS = 0.2  # between checks whether the run is stopped


class Turns:
    """The turns of one run. A table waits for others in its worker's thread. The others have been
    started earlier, because they are listed earlier."""

    def __init__(self) -> None:
        self.completing = Lock()  # held by the worker that completes a table of chunks
        self._changed = Condition()
        self._done: set[str] = set()
        self._is_over = False

    def add(self, tables: Iterable[str]) -> None:
        """Note that these are copied."""
        with self._changed:
            self._done.update(tables)
            self._changed.notify_all()

    def wait(self, tables: Collection[str]) -> None:
        """Until all of these are copied.

        Raises:
            Interrupted: the run is stopped.
        """
        with self._changed:
            while not self._done.issuperset(tables):
                if self._is_over:
                    raise Interrupted("stopped on request")
                self._changed.wait(_LOOK_SECONDS)

    def end(self) -> None:
        """End all waiting."""
        self._is_over = True
