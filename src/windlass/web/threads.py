"""Runs work in threads that the page does not wait for when it ends: a target may never answer.

Python joins the threads of a pool when it exits, whatever they wait for.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import TypeVar, cast

T = TypeVar("T")

NAME = "windlass page"
LAST_SECONDS = 1.0  # for threads that compute


def end_with_threads(code: int = 0) -> None:
    """If threads still work after a moment, end the process at once, with this exit code.

    Python's own end stops a thread in the middle of compiled code that has called Python, such as
    pydantic's, and the process crashes (https://github.com/python/cpython/issues/87135).
    """
    deadline = time.monotonic() + LAST_SECONDS
    for one in _working():
        one.join(max(deadline - time.monotonic(), 0))
    if _working():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _working() -> list[Thread]:
    return [one for one in enumerate_threads() if one.name == NAME]


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

    Thread(target=run, name=NAME, daemon=True).start()
    return await future
