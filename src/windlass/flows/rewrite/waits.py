"""Waits for locks in short attempts, so that nobody queues behind us for long."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import TypeVar

import psycopg
import tenacity

# Others' statements queue behind ours for as long as it waits for a lock. Autovacuum yields only to
# a session that has waited for deadlock_timeout, which is 1 s.
SHORT_WAIT, LONG_WAIT, LONG_EVERY = "100ms", "1500ms", 10
LOCK_ATTEMPTS = 80
T = TypeVar("T")


def in_short_waits(work: Callable[[str], T]) -> T:
    """Retry until the lock is granted, with a short timeout each: everybody else queues behind a
    waiting session."""
    timeouts = cycle([*[SHORT_WAIT] * (LONG_EVERY - 1), LONG_WAIT])
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_met_a_lock),
        stop=tenacity.stop_after_attempt(LOCK_ATTEMPTS),
        wait=tenacity.wait_random(0.05, 0.5),
        reraise=True,
    )
    return retrying(lambda: work(next(timeouts)))


def _met_a_lock(error: BaseException) -> bool:
    return isinstance(error.__cause__, psycopg.errors.LockNotAvailable)
