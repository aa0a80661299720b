"""Values that were used last, up to a total size, for processes that look at the same runs again
and again. Threads share them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from psycopg import Connection

from windlass.journal.records import Run

K = TypeVar("K")
V = TypeVar("V")


def key_of(connection: Connection[Any], run: Run) -> tuple[str, ...]:
    """The key of what is kept of a run. It has the journal's database: whoever can write one
    journal could give a run there the name and the times of a run in another."""
    where = connection.info
    place = where.host, str(where.port), where.dbname, where.user
    return *place, run.source, run.run, run.started_at


class Recent(Generic[K, V]):
    def __init__(self, most: int, size: Callable[[V], int]) -> None:
        """`most` is the total size, as `size` measures a value. The last value always stays."""
        self._most, self._measure = most, size
        self._lock = Lock()
        self._found: OrderedDict[K, V] = OrderedDict()
        self._size = 0

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            if (old := self._found.pop(key, None)) is not None:
                self._size -= self._measure(old)
            self._found[key] = value
            self._size += self._measure(value)
            while self._size > self._most and len(self._found) > 1:
                _, old = self._found.popitem(last=False)
                self._size -= self._measure(old)
