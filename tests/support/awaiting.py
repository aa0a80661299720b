"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable

from servers import Pair

EVENTS = "pg_catalog.pg_event_trigger"
WAITING = f"select from pg_locks where relation = '{EVENTS}'::regclass and not granted"


def until(is_so: Callable[[], object], what: str = "it", seconds: float = 60.0) -> None:
    """Look again and again until it is so; that it never is so is a failure."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} never came to pass in {seconds:g} s"
        time.sleep(0.01)


def await_true(pair: Pair, query: str) -> None:
    until(lambda: pair.target.value(query), query)
