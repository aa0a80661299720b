"""Postgres to Postgres: the bytes of COPY out are the bytes of COPY in, without being parsed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from windlass.engines.postgres.copy import Bulk, Write, copy_in, copy_out, truncate
from windlass.errors import WindlassError
from windlass.model.chunk import Range
from windlass.model.mapping import Mapping
from windlass.model.relation import Name, Relation, Wire

# Blocks of about 250 kB that may be queued between the two ends: enough that neither end waits for
# the event loop, few enough to fit in memory.
_BLOCKS_IN_FLIGHT = 4


class Change(Protocol):
    """Changes lines of COPY. `finish` returns the last ones."""

    def feed(self, block: bytes) -> Iterator[bytes]: ...

    def finish(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Journey:
    """What is read for one chunk, and where it goes. `columns` pair source with target names."""

    relation: Relation
    range: Range
    target: Name
    columns: Sequence[tuple[str, str]]
    wire: Wire
    freeze: bool  # the relation is empty and all of it comes in this transaction
    mapping: Mapping | None = None  # through which it is read
    change: Change | None = None  # applied to the lines on their way
    sent: Sequence[str] = ()  # the target's columns, if not all that are read


@dataclass(frozen=True, slots=True)
class Arrived:
    rows: int
    size_bytes: int
    seconds: float


async def relay(
    source: Bulk,
    target: Bulk,
    journey: Journey,
    progress: Callable[[int], None],
) -> Arrived:
    """Copy one chunk inside the transactions that the caller has opened on both sides.

    `progress` gets the size of every block. Memory: a few blocks, whatever the chunk's size.

    Raises:
        ConnectionLost, TargetFull, WindlassError: roll back the target's transaction.
    """
    started = time.perf_counter()
    blocks: asyncio.Queue[bytes | None] = asyncio.Queue(_BLOCKS_IN_FLIGHT)
    size = 0

    async def put(block: bytes) -> None:
        nonlocal size
        size += len(block)
        progress(len(block))
        await blocks.put(block)

    async def read() -> None:
        try:
            await _read(source, journey, put)
        except Exception:
            await blocks.put(None)
            raise
        await blocks.put(None)  # not when cancelled: nobody reads the queue any more

    async def arriving() -> AsyncIterator[bytes]:
        while (block := await blocks.get()) is not None:
            yield block
        await reading  # if the reader fails, the writer ends as well

    if journey.freeze:
        await truncate(target, journey.target)
    reading = asyncio.ensure_future(read())
    try:
        rows = await copy_in(
            target,
            journey.target,
            journey.sent or [name for _, name in journey.columns],
            journey.wire,
            arriving(),
            freeze=journey.freeze,
        )
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, WindlassError):
            await reading
    return Arrived(rows, size, time.perf_counter() - started)


async def _read(source: Bulk, journey: Journey, put: Write) -> None:
    """The chunk's blocks, after `change` if there is one."""
    change = journey.change

    async def put_changed(block: bytes) -> None:
        assert change is not None, "there is one"
        for one in change.feed(block):
            await put(one)

    columns = [name for name, _ in journey.columns]
    what = journey.relation, columns, journey.range, journey.wire
    await copy_out(source, *what, put_changed if change else put, journey.mapping)
    for one in change.finish() if change else ():
        await put(one)
