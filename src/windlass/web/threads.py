"""Runs work in threads that the page does not wait for when it ends: a target may never answer.

Python joins the threads of a pool when it exits, whatever they wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar, cast

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """Run it in a thread; returns or raises what it does. If the wait is cancelled, the work
    continues and its result is dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def end(value: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, value))

    def run() -> None:
        value: T | None = None
        error: Exception | None = None
        try:
            value = work(*arguments)
        except Exception as caught:
            error = caught
        with suppress(RuntimeError):  # the page has ended
            loop.call_soon_threadsafe(end, value, error)

    Thread(target=run, name="windlass page", daemon=True).start()
    return await future
