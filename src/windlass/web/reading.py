"""Reads journals for the page. Each reading runs only once at a time, for all who look.

A reading takes as long as the target needs, so it runs in a thread. Requests during a reading share
its result; after a while they get the previous one, so that a slow target delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from windlass import api, recorded
from windlass.errors import Refused, Unreachable, WindlassError
from windlass.model.logged import LogPart
from windlass.model.outcome import RunDetail, RunStatus
from windlass.run.failures import with_side
from windlass.web.threads import in_thread
from windlass.web.watched import Watched

log = logging.getLogger(__name__)
T = TypeVar("T")

FRESH_SECONDS = 1.0
SLOWER = 4.0  # a result stays fresh for this many times as long as reading it took
IDLE_SECONDS = 60.0  # forget what nobody has asked for since
LIST_PATIENCE_SECONDS = 2.0  # a list of several targets waits this long for one of them
PATIENCE_SECONDS = 10.0
MOST_AT_ONCE = 10  # readings of one target


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What a reading found, or why it found nothing.

    With both a value and a fault, the value is from an earlier reading.
    """

    value: T | None
    fault: str = ""
    hint: str = ""
    is_missing: bool = False  # the target has no such run
    seconds: float = 0.0  # duration of the reading
    at: float = 0.0  # on the monotonic clock

    @property
    def fresh_until(self) -> float:
        return self.at + max(FRESH_SECONDS, SLOWER * self.seconds)


class Shared(Generic[T]):
    """One thing, read again when somebody asks and the last reading is no longer fresh."""

    def __init__(self, read: Callable[[], T], limit: asyncio.Semaphore) -> None:
        self._read, self._limit = read, limit
        self._kept: Read[T] | None = None
        self._known: T | None = None  # from the last successful reading
        self._task: asyncio.Task[Read[T]] | None = None
        self._awaited_at: float | None = None  # since when somebody waits for the task
        self.asked_at = 0.0

    async def get(self, patience: float) -> Read[T]:
        """The result of a reading, if it comes within `patience` seconds after somebody has begun
        to wait for it. The reading continues after that."""
        self.asked_at = time.monotonic()
        if self._kept is not None and self.asked_at < self._kept.fresh_until:
            return self._kept
        if self._task is None:
            self._task, self._awaited_at = asyncio.create_task(self._again()), None
        if self._awaited_at is None and patience:
            self._awaited_at = self.asked_at
        left = patience - (self.asked_at - (self._awaited_at or self.asked_at))
        done, _ = await asyncio.wait({self._task}, timeout=max(left, 0))
        if done:
            return done.pop().result()
        return Read(self._known, f"has not answered for {patience:g} seconds; still waiting")

    def expire(self) -> None:
        """Discard what was found, and what is being read."""
        self._kept = self._known = self._task = None

    async def _again(self) -> Read[T]:
        task = asyncio.current_task()
        try:
            async with self._limit:
                found = await in_thread(lambda: _timed(self._read))
        finally:
            is_current = self._task is task
            if is_current:
                self._task = None
        if not is_current:
            return found
        if found.value is not None or found.is_missing:
            self._known = found.value
        self._kept = replace(found, value=self._known)
        return self._kept


def why(error: WindlassError) -> tuple[str, str]:
    """What is wrong, and what to do about it: every problem of what was refused."""
    if not isinstance(error, Refused | Unreachable):
        return with_side(error), error.hint
    texts = [f"{one.object}: {one.message}" for one in error.problems]
    hints = dict.fromkeys(one.hint for one in error.problems if one.hint)
    return "; ".join(texts), "; ".join(hints) or error.hint


def _names_a_run(error: WindlassError) -> bool:
    """Whether a refusal means that there is no such run, not that its journal has a problem."""
    problems = error.problems if isinstance(error, Refused) else ()
    return any(one.object.startswith("run ") for one in problems)


def _timed(read: Callable[[], T]) -> Read[T]:
    started = time.monotonic()
    value: T | None = None
    fault, hint, is_missing = "", "", False
    try:
        value = read()
    except WindlassError as error:
        fault, hint = why(error)
        is_missing = _names_a_run(error)
    except Exception as error:
        log.exception("a reading failed unexpectedly")
        fault = f"unexpected {type(error).__name__}; the terminal of windlass serve has more"
        hint = "please report it"
    at = time.monotonic()
    return Read(value, fault, hint, is_missing, at - started, at)


@dataclass(frozen=True, slots=True)
class LogKey:
    """A part of the log of a run: so many entries, from the newest."""

    run: str
    start: int
    most: int
    with_items: bool = False


class Reader:
    """What the page has read of all targets."""

    def __init__(self) -> None:
        self._runs: dict[str, Shared[Sequence[RunStatus]]] = {}
        self._details: dict[tuple[str, str], Shared[RunDetail]] = {}
        self._logs: dict[tuple[str, LogKey], Shared[LogPart]] = {}
        self._limits: dict[str, asyncio.Semaphore] = {}

    async def runs(
        self, watched: Watched, patience: float = LIST_PATIENCE_SECONDS
    ) -> Read[Sequence[RunStatus]]:
        """The runs of a target, the newest first."""
        if watched.key not in self._runs:
            self._runs[watched.key] = Shared(
                lambda: api.status(watched.where, looking=True), self._limit(watched)
            )
        return await self._runs[watched.key].get(patience)

    async def run(self, watched: Watched, run: str) -> Read[RunDetail]:
        self._forget_idle()
        key = watched.key, run
        if key not in self._details:
            limit = self._limit(watched)
            self._details[key] = Shared(
                lambda: api.read_run(watched.where, run, looking=True), limit
            )
        return await self._details[key].get(PATIENCE_SECONDS)

    async def log(self, watched: Watched, wanted: LogKey) -> Read[LogPart]:
        self._forget_idle()

        def read() -> LogPart:
            return recorded.read_log(
                watched.where,
                wanted.run,
                wanted.start,
                wanted.most,
                with_items=wanted.with_items,
                looking=True,
            )

        key = watched.key, wanted
        if key not in self._logs:
            self._logs[key] = Shared(read, self._limit(watched))
        return await self._logs[key].get(PATIENCE_SECONDS)

    def _limit(self, watched: Watched) -> asyncio.Semaphore:
        return self._limits.setdefault(watched.key, asyncio.Semaphore(MOST_AT_ONCE))

    def expire(self, watched: Watched) -> None:
        """Forget what is known: something has changed."""
        for shared in (self._runs.get(watched.key), *self._of(watched)):
            if shared is not None:
                shared.expire()

    def _of(self, watched: Watched) -> Iterator[Shared[Any]]:
        kept: Sequence[Mapping[tuple[str, Any], Shared[Any]]] = (self._details, self._logs)
        for found in kept:
            yield from (one for (key, _), one in found.items() if key == watched.key)

    def _forget_idle(self) -> None:
        before = time.monotonic() - IDLE_SECONDS
        kept: Sequence[dict[Any, Shared[Any]]] = (self._details, self._logs)
        for found in kept:
            for key in [key for key, one in found.items() if one.asked_at < before]:
                del found[key]
