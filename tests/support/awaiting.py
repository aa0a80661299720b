"""Waiting for what another process does."""

from __future__ import annotations

import time

from servers import Pair

EVENTS = "pg_catalog.pg_event_trigger"
WAITING = f"select from pg_locks where relation = '{EVENTS}'::regclass and not granted"


def await_true(pair: Pair, query: str) -> None:
    deadline = time.monotonic() + 60
    while not pair.target.value(query):
        assert time.monotonic() < deadline, query
        time.sleep(0.01)
