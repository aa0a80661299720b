"""A stream's changes as batches, read by a thread beside the one that applies them.

Decides when a batch is large or old enough, and how much is read ahead. The server only learns of
positions passed to `confirm`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn
from windlass.errors import WindlassError
from windlass.following.assembling import Assembler, Limits, Rules
from windlass.following.changes import Batch

_AHEAD = 2  # how many full batches are read ahead
_IDLE_SECONDS = 1.0  # how long a read waits; a stop wakes it
_JOIN_SECONDS = 30.0
# The server sends each change by itself, and reading a single one costs more than decoding it. With
# 1,500 transactions of TPC-B a second, reading took 0.2 of a core, and waking us cost the server
# more. So while a stream brings less than this, and nothing is there, a read waits for more.
_GATHER_SECONDS = 0.01
_MOST_BYTES_PER_SECOND = 4 << 20


class Frames(Protocol):
    """The frames that are read: a `windlass.engines.postgres.replication.stream.Stream`."""

    quiet_lsn: Lsn

    def read(self, timeout_seconds: float) -> list[bytes]: ...
    def has_more(self) -> bool: ...
    def confirm(self, lsn: Lsn) -> None: ...
    def report(self) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class Reader:
    """Reads ahead, within limits, from a stream that it opens and closes itself."""

    def __init__(
        self,
        open_stream: Callable[[], Frames],
        rules: Rules,
        applied: Lsn,
        limits: Limits | None = None,
    ) -> None:
        """`applied` is the commit_lsn of the last transaction that was applied."""
        self._open_stream, self._limits = open_stream, limits or Limits()
        self._assembler = Assembler(rules, applied, self._put, self._limits)
        self._changed = threading.Condition()
        self._ready: deque[Batch] = deque()
        self._ready_rows = self._ready_bytes = 0
        self._stopping = self._woken = False
        self._error: WindlassError | None = None
        self._stream: Frames | None = None
        self._held_since: float | None = None  # when the first of the waiting transactions came
        self._through = NOWHERE
        self._pace = Pace()
        self._thread = threading.Thread(target=self._run, name="windlass reader", daemon=True)
        self._thread.start()

    def take(self, timeout_seconds: float) -> Batch | None:
        """The next batch; None if there was none in time.

        Raises:
            WindlassError: the stream has ended, after all that came before.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._ready or self._error or self._woken, timeout_seconds
            )
            self._woken = False
            if self._ready:
                batch = self._ready.popleft()
                self._ready_rows -= batch.rows
                self._ready_bytes -= batch.size_bytes
                self._changed.notify_all()
                return batch
            if self._error is not None:
                raise self._error
            return None

    def wake(self) -> None:
        """Make a `take` in another thread return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    @property
    def through(self) -> Lsn:
        """`take` has handed out everything that was committed before this position."""
        with self._changed:
            return NOWHERE if self._ready else self._through

    def confirm(self, lsn: Lsn) -> None:
        """Confirm that everything committed before `lsn` is safe: the server may forget it."""
        if stream := self._stream:
            stream.confirm(lsn)

    def stop(self) -> None:
        """End the stream; what was read ahead is forgotten."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if stream := self._stream:
            stream.wake()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            self._stream = self._open_stream()
            try:
                while not self._stopping:
                    self._turn(self._stream)
            finally:
                self._stream.close()
        except WindlassError as error:
            self._fail(error)
        except Exception as error:
            failed = WindlassError(f"the change stream cannot be read: {type(error).__name__}")
            failed.__cause__ = error
            self._fail(failed)

    def _fail(self, error: WindlassError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _turn(self, stream: Frames) -> None:
        assembler = self._assembler
        due_at = self._due_at
        seconds = _IDLE_SECONDS if due_at is None else max(due_at - time.monotonic(), 0.0)
        frames = stream.read(seconds)
        if frames:
            assembler.take(frames)
        if stream.quiet_lsn:
            assembler.quiet(stream.quiet_lsn)
        due_at = self._due_at
        if due_at is not None and time.monotonic() >= due_at:
            assembler.flush()
        elif frames and due_at is not None:
            self._let_gather(stream, frames)
        if not assembler.is_holding:
            self._held_since = None
            with self._changed:
                self._through = assembler.through
        self._wait_for_room(stream)

    def _let_gather(self, stream: Frames, frames: Sequence[bytes]) -> None:
        """Wait a moment before the next read of a stream that brings little at a time."""
        size_bytes = sum(map(len, frames))
        if self._pace.is_slow(size_bytes, time.monotonic(), has_more=stream.has_more()):
            time.sleep(_GATHER_SECONDS)

    @property
    def _due_at(self) -> float | None:
        """When the whole transactions read so far must be handed out."""
        if not self._assembler.is_holding:
            return None
        if self._held_since is None:
            self._held_since = time.monotonic()
        return self._held_since + self._limits.linger_seconds

    def _put(self, batch: Batch) -> None:
        self._held_since = None
        with self._changed:
            self._ready.append(batch)
            self._ready_rows += batch.rows
            self._ready_bytes += batch.size_bytes
            self._changed.notify_all()

    def _wait_for_room(self, stream: Frames) -> None:
        """Wait for room. While it waits, the server gets status messages, and nothing is read."""
        while True:
            with self._changed:
                if self._stopping or not self._is_full:
                    return
                self._changed.wait(_IDLE_SECONDS)
            stream.report()

    @property
    def _is_full(self) -> bool:
        rows, size_bytes = self._limits.rows * _AHEAD, self._limits.size_bytes * _AHEAD
        return self._ready_rows >= rows or self._ready_bytes >= size_bytes


class Pace:
    """How much a stream brings, measured from one moment when nothing was there to the next."""

    def __init__(self) -> None:
        self._since_seconds, self._size_bytes = 0.0, 0

    def is_slow(self, size_bytes: int, now_seconds: float, *, has_more: bool) -> bool:
        """Whether the next read should wait, after one of this size: a stream that brings something
        all the time, but little. A backlog, and a stream that is read too slowly, have more."""
        self._size_bytes += size_bytes
        if has_more:
            return False
        passed_seconds = now_seconds - self._since_seconds
        most = passed_seconds * _MOST_BYTES_PER_SECOND
        is_slow = passed_seconds <= 2 * _GATHER_SECONDS and self._size_bytes < most
        self._since_seconds, self._size_bytes = now_seconds, 0
        return is_slow
