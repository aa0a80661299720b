"""Reads journals for the page: each thing at most once at a time, for all who look at it.

A reading takes as long as the target needs, so it happens in a thread. Who asks during it gets the
same result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from anyio import to_thread

from windlass import api
from windlass.errors import Refused, WindlassError
from windlass.model.outcome import RunDetail, RunStatus
from windlass.run.failures import with_side
from windlass.web.watched import Watched

T = TypeVar("T")

FRESH_SECONDS = 1.0
SLOWER = 4.0  # what takes long to read stays fresh for this many times as long
IDLE_SECONDS = 60.0  # what nobody has asked for since is forgotten


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What a reading found, or why it found nothing."""

    value: T | None
    fault: str = ""
    hint: str = ""
    is_missing: bool = False  # no such run is known there
    seconds: float = 0.0  # that it took
    at: float = 0.0  # by the monotonic clock

    @property
    def fresh_until(self) -> float:
        return self.at + max(FRESH_SECONDS, SLOWER * self.seconds)


class Shared(Generic[T]):
    """One thing, read again when somebody asks and the last reading is no longer fresh."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._kept: Read[T] | None = None
        self._task: asyncio.Task[Read[T]] | None = None
        self.asked_at = 0.0

    async def get(self) -> Read[T]:
        self.asked_at = time.monotonic()
        if self._kept is not None and self.asked_at < self._kept.fresh_until:
            return self._kept
        if self._task is None:
            self._task = asyncio.create_task(self._again())
        return await asyncio.shield(self._task)

    def expire(self) -> None:
        self._kept = None

    async def _again(self) -> Read[T]:
        try:
            self._kept = await to_thread.run_sync(_timed, self._read)
            return self._kept
        finally:
            self._task = None


def _timed(read: Callable[[], T]) -> Read[T]:
    started = time.monotonic()
    try:
        value, fault, hint, is_missing = read(), "", "", False
    except Refused as error:
        value, fault, hint, is_missing = None, str(error), error.hint, True
    except WindlassError as error:
        value, fault, hint, is_missing = None, with_side(error), error.hint, False
    at = time.monotonic()
    return Read(value, fault, hint, is_missing, at - started, at)


class Reader:
    """What the page has read of all targets."""

    def __init__(self) -> None:
        self._runs: dict[str, Shared[Sequence[RunStatus]]] = {}
        self._details: dict[tuple[str, str], Shared[RunDetail]] = {}

    async def runs(self, watched: Watched) -> Read[Sequence[RunStatus]]:
        """The runs of a target, the newest first."""
        if watched.key not in self._runs:
            self._runs[watched.key] = Shared(lambda: api.status(watched.where))
        return await self._runs[watched.key].get()

    async def run(self, watched: Watched, run: str) -> Read[RunDetail]:
        self._forget_idle()
        key = watched.key, run
        if key not in self._details:
            self._details[key] = Shared(lambda: api.read_run(watched.where, run))
        return await self._details[key].get()

    def expire(self, watched: Watched) -> None:
        """What is there has changed."""
        for shared in (self._runs.get(watched.key), *self._of(watched)):
            if shared is not None:
                shared.expire()

    def _of(self, watched: Watched) -> Sequence[Shared[RunDetail]]:
        return [one for (key, _), one in self._details.items() if key == watched.key]

    def _forget_idle(self) -> None:
        before = time.monotonic() - IDLE_SECONDS
        for key in [key for key, one in self._details.items() if one.asked_at < before]:
            del self._details[key]
