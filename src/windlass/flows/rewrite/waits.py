"""Waits for locks in short attempts, so that nobody queues behind us for long."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import TypeVar

import psycopg
import tenacity

# Others' statements queue behind ours for as long as it waits for a lock. Autovacuum yields only to
# a session that has waited for deadlock_timeout, which is 1 s.
SHORT_WAIT, LONG_WAIT, LONG_EVERY = "100ms", "1200ms", 10
LOCK_ATTEMPTS = 80
T = TypeVar("T")


def in_short_waits(
    work: Callable[[str], T],
    *,
    attempts: int = LOCK_ATTEMPTS,
    wants_long: Callable[[], bool] = lambda: True,
) -> T:
    """Retry until the lock is granted, with a short timeout each: everybody else queues behind a
    waiting session. `wants_long` says whether the tenth attempt waits for longer."""
    is_long = cycle([*[False] * (LONG_EVERY - 1), True])
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(met_a_lock),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random(0.05, 0.5),
        reraise=True,
    )
    return retrying(lambda: work(LONG_WAIT if next(is_long) and wants_long() else SHORT_WAIT))


def met_a_lock(error: BaseException) -> bool:
    """Whether a lock was not granted in time."""
    return isinstance(error.__cause__, psycopg.errors.LockNotAvailable)
