"""Server-sent events: fragments of a page, each sent again when it has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

EVERY_SECONDS = 1.0
ALIVE_SECONDS = 15.0  # without events, a comment shows that the connection is alive
TOGETHER_SECONDS = 0.1

Fragments = Callable[[], Awaitable[Mapping[str, str]]]  # HTML by the id of its element


async def changes(
    fragments: Fragments,
    stopping: asyncio.Event,
    waits: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[bytes]:
    """All fragments first, then those that have changed. `waits` returns when there may be changes;
    without it, look every second."""
    sent: dict[str, str] = {}
    quiet = 0.0
    yield b"retry: 2000\n\n"
    while not stopping.is_set():
        found = await fragments()
        changed = {id_: html for id_, html in found.items() if sent.get(id_) != html}
        sent.update(changed)
        for id_, html in changed.items():
            yield event("fragment", json.dumps({"id": id_, "html": html}))
        quiet = 0.0 if changed else quiet + EVERY_SECONDS
        if quiet >= ALIVE_SECONDS:
            quiet = 0.0
            yield b": alive\n\n"
        await _first(stopping, waits)


async def _first(stopping: asyncio.Event, waits: Callable[[], Awaitable[None]] | None) -> None:
    """Wait until there may be changes, or the page ends."""
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(stopping.wait())]
    if waits is not None:
        tasks.append(asyncio.create_task(_awaited(waits)))
    try:
        timeout = ALIVE_SECONDS if waits is not None else EVERY_SECONDS
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _awaited(waits: Callable[[], Awaitable[None]]) -> None:
    await waits()


def event(name: str, data: str) -> bytes:
    """One event. Data has no line breaks: JSON escapes them."""
    return f"event: {name}\ndata: {data}\n\n".encode()
