"""Processes of `windlass migrate --follow`, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from awaiting import until
from command import Running, start
from servers import Pair

NEWEST = "from windlass.following join windlass.run using (run) order by started_at desc limit 1"
_LAG = "select lag_ms from windlass.applied where direction = 'forward'"
# source and target: the way back goes to the older one
VERSIONS = [
    pytest.param((16, 18), id="16-18"),
    pytest.param((15, 18), id="15-18", marks=pytest.mark.full),
    pytest.param((15, 16), id="15-16", marks=pytest.mark.full),
]
FOLLOW = ("migrate", "--follow", "--jobs", "2", "--json")


@contextmanager
def following(pair: Pair, *words: str) -> Iterator[Running]:
    """A process that follows, from when it is in that phase; or one that has ended before."""
    follower = start(*FOLLOW, *words, pair=pair)
    try:
        until(lambda: phase(pair) == "following" or follower.poll() is not None, "following")
        yield follower
    finally:
        follower.kill()
        follower.wait()


def until_lag_known(pair: Pair, follower: Running) -> None:
    """The process that follows knows how far it lags, without which no cutover begins."""
    until(lambda: follower.poll() is not None or pair.target.value(_LAG) is not None, "a lag")
    assert follower.poll() is None, follower.said()


def phase(pair: Pair) -> str:
    try:
        return str(pair.target.value(f"select phase {NEWEST}"))
    except psycopg.errors.UndefinedTable:
        return ""
