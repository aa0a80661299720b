"""Notices when a run cannot advance because its pool does not exist or has no room.

A task cannot look at pools. It can only see that Airflow starts none of the tasks that use one: the
scheduler leaves tasks of a missing pool scheduled forever, and reports that only in its own log.
With a full pool the same happens until there is room. So a DAG whose tasks of that kind have run
before waits longer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from windlass.errors import WindlassError

DEFAULT_POOL = "default_pool"  # which every Airflow has
PATIENCE = timedelta(seconds=90)
LONGER_SECONDS = 3600.0  # a pool that has worked before is more likely full than missing
_LOOK_SECONDS = 10.0
_WARN_SECONDS = 60.0
log = logging.getLogger(__name__)


class NoSlot(WindlassError):
    """The pool has given the run no slot."""


class Seen(Protocol):
    """What a holder sees of the other tasks of its run: `windlass.airflow.board.Board`."""

    def has_started(self, tasks: Sequence[str]) -> bool: ...

    def has_ever_run(self, tasks: Sequence[str]) -> bool: ...

    def is_waiting(self, tasks: Sequence[str]) -> bool: ...


@dataclass
class PoolWatch:
    """Called at intervals while a run is held, until the pool has given it a slot."""

    seen: Seen
    pool: str
    tasks: Sequence[str]  # tasks that use the pool
    patience_seconds: float = PATIENCE.total_seconds()
    now: Callable[[], float] = time.monotonic
    _works: bool = False
    _looked: float = field(default=float("-inf"))
    _since: float | None = None  # when it began to wait
    _warned: float = field(default=float("-inf"))  # how long it had waited at the last warning

    def __call__(self) -> None:
        """Check whether the run has got a slot.

        Raises:
            NoSlot: nothing of the run has been started for longer than its patience.
        """
        now = self.now()
        if self._works or self.pool == DEFAULT_POOL or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        self._works = self.seen.has_started(self.tasks)
        if self._works or not self.seen.is_waiting(self.tasks):
            self._since = None
            return
        if self._since is None:
            self._warned = float("-inf")
        self._since = now if self._since is None else self._since
        waited = now - self._since
        if waited < self.patience_seconds:
            return
        what = f"no task of the pool {self.pool!r} has been started for {waited:.0f} s"
        if waited < LONGER_SECONDS and self.seen.has_ever_run(self.tasks):
            if waited - self._warned >= _WARN_SECONDS:
                self._warned = waited
                log.warning("%s: if it still exists, others take all its slots; this run waits"
                            " for an hour", what)  # fmt: skip
        else:
            raise NoSlot(
                f"{what}: there is no such pool, or others take all its slots",
                hint=f"make the pool {self.pool} under Admin, Pools, or give it more slots; then"
                " trigger a new run, which resumes this one. pool_patience is how long a run waits"
                " for its first slot",
            )
