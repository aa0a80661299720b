"""The sessions one worker thread holds: two for statements (psycopg), and a pair for rows (`Bulk`),
or several on a slow link.

Opened when first needed, dropped after an error, so that the next attempt starts clean.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from windlass.engines.postgres.bulk import open_bulk
from windlass.engines.postgres.copy import Bulk, faults
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.keepalive import Loop
from windlass.engines.postgres.link import round_trip_seconds
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.postgres.snapshot import enter, enter_again, import_statement, lost
from windlass.errors import Interrupted

# A transaction keeps its locks on all tables and indexes that it has read until it ends, and all
# sessions share the lock table. A new transaction sees the same snapshot.
COPIES_PER_TRANSACTION = 32
T = TypeVar("T")


@dataclass(slots=True)
class Stream:
    """A pair of sessions that rows move through: one transaction at a time."""

    reader: Bulk | None = None
    writer: Bulk | None = None
    copies: int = 0  # by the reader's transaction

    def leave_source(self) -> None:
        if self.reader is not None:
            self.reader.terminate()
        self.reader = None

    def leave_target(self) -> None:
        if self.writer is not None:
            self.writer.terminate()
        self.writer = None


class Sessions:
    """Owned by one thread; only `cancel` may be called from another."""

    def __init__(self, source: Address, target: Address, run: str, target_within: str = "") -> None:
        """`target_within` is a snapshot of the target, which is then only read."""
        self._source_address, self._target_address = source, target
        self._target_within = target_within
        self._purpose = f"windlass {run}"
        self._lock = threading.Lock()
        self._cancelled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._source: Connection | None = None
        self._target: Connection | None = None
        self._streams: list[Stream] = []
        self._snapshot_id = ""
        self._has_read = False

    def target(self) -> Connection:
        """For statements on the target; autocommit, unless it is read in a snapshot."""
        self._refuse_if_cancelled()
        if self._target is None or self._target.closed:
            self._target = self._target_address.connect(Role.TARGET, self._purpose)
            if self._target_within:
                enter(self._target, self._target_within)
        return self._target

    def source(self, snapshot_id: str) -> Connection:
        """For reading the source in the snapshot; locks of earlier reads are released."""
        connection = self._source_in(snapshot_id)
        if self._has_read:
            enter_again(connection, snapshot_id)
        self._has_read = True
        return connection

    def _source_in(self, snapshot_id: str) -> Connection:
        self._refuse_if_cancelled()
        if self._snapshot_id != snapshot_id:
            self._leave_source()
        if self._source is None or self._source.closed:
            self._source = self._source_address.connect(Role.SOURCE, self._purpose)
            enter(self._source, snapshot_id)
            self._snapshot_id, self._has_read = snapshot_id, False
        return self._source

    def round_trip_seconds(self) -> float:
        """The round-trip time of the slower side."""
        sides = ((self._source, self._source_address), (self.target(), self._target_address))
        found = []
        for connection, address in sides:
            if connection is not None:
                with explaining("measuring the round trip", side=address.side):
                    found.append(round_trip_seconds(connection))
        return max(found)

    def stream(self, number: int = 0) -> Stream:
        """This worker's stream with a number, from 0."""
        while len(self._streams) <= number:
            self._streams.append(Stream())
        return self._streams[number]

    def keep_streams(self, count: int) -> None:
        """Close all but the first `count` streams."""
        for stream in self._streams[count:]:
            stream.leave_source()
            stream.leave_target()
        del self._streams[count:]

    async def reader(self, snapshot_id: str, stream: Stream) -> Bulk:
        """For COPY out of the source, inside the snapshot."""
        like = self._source_in(snapshot_id)
        statement = import_statement(snapshot_id)
        stream.copies += 1
        if stream.reader is None or stream.reader.is_closed:
            stream.reader = await open_bulk(self._source_address, like, Role.SOURCE, self._purpose)
        elif stream.copies > COPIES_PER_TRANSACTION:
            statement = f"commit; {statement}"
        else:
            return stream.reader
        stream.copies = 1
        try:
            await stream.reader.execute(statement)
        except faults() as error:
            raise lost(error) from error
        return stream.reader

    async def writer(self, stream: Stream) -> Bulk:
        """For COPY into the target."""
        if stream.writer is None or stream.writer.is_closed:
            stream.writer = await open_bulk(
                self._target_address, self.target(), Role.TARGET, self._purpose
            )
        return stream.writer

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end in this thread.

        Raises:
            Interrupted: `cancel` was called.
        """
        with self._lock:
            self._loop = self._loop or Loop()
            task: asyncio.Task[T] = self._loop.create_task(work)
            self._task = task
            if self._cancelled:
                self._task.cancel()
        try:
            return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise Interrupted("stopped on request") from None
        finally:
            with self._lock:
                self._task = None

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled:
            raise Interrupted("stopped on request")

    def cancel(self) -> None:
        """Cancel what is in flight, from any thread. The transactions roll back."""
        with self._lock:
            self._cancelled = True
            if self._task is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        for connection in (self._source, self._target):
            if connection is not None and not connection.closed:
                with contextlib.suppress(psycopg.Error):
                    connection.cancel_safe(timeout=5)
        for bulk in [bulk for one in list(self._streams) for bulk in (one.reader, one.writer)]:
            if bulk is not None:
                bulk.cancel()

    def drop(self) -> None:
        """Close everything; the servers roll back what was open."""
        self._leave_source()
        for stream in self._streams:
            stream.leave_target()
        if self._target is not None:
            self._target.close()
        self._target = None

    def close(self) -> None:
        self.drop()
        if self._loop is not None:
            # one turn of the event loop, so that terminated transports are closed
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()
            self._loop = None

    def _leave_source(self) -> None:
        for stream in self._streams:
            stream.leave_source()
        if self._source is not None:
            self._source.close()
        self._source = None
        self._snapshot_id = ""
