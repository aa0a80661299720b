"""Locks that are held until somebody is known to wait for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from command import Running, finish
from servers import Database

SECONDS = 90.0


@contextmanager
def holding(side: Database, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of somebody else's, as long as the block lasts."""
    with side.connect(application_name="nightly job") as other, other.transaction():
        other.execute(statement.encode())
        yield other


def noticed(process: Running, words: str) -> str:
    """The line of the log that has these words, as soon as it is there."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        text = process.said()[1]
        if found := [line for line in text.splitlines() if words in line]:
            return found[0]
        assert process.poll() is None, finish(process).why
        time.sleep(0.01)
    raise AssertionError(f"no notice: {finish(process, 1).why}")


def blocked_by(other: psycopg.Connection[Any]) -> str:
    since = other.execute(
        "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
    ).fetchone()
    assert since is not None
    session = f"pid {other.info.backend_pid} (nightly job, user postgres"
    return f"blocked by {session}, in a transaction since {since[0]} UTC)"
