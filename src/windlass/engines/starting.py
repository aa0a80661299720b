"""Waits for servers that are starting, for example after a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from windlass.errors import ServerStarting

STARTING_SECONDS = 60.0  # a crash recovery of usual length
STARTING_POLL_SECONDS = 0.2
T = TypeVar("T")


def when_up(connect: Callable[[], T]) -> T:
    """Connect as soon as the server has started."""
    try:
        return connect()
    except ServerStarting:
        return _when_started(connect)


def _when_started(connect: Callable[[], T]) -> T:
    import tenacity  # slow to load, and most servers are up

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ServerStarting),
        wait=tenacity.wait_fixed(STARTING_POLL_SECONDS),
        stop=tenacity.stop_after_delay(STARTING_SECONDS),
        reraise=True,
    )
    return retrying(connect)
