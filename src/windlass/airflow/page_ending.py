"""The end of the API server, as streams of the page see it: they last, and the server waits for
them.

An application within another one is not told when the server ends. uvicorn, alone or below
gunicorn, notes it when it gets a signal, and its handler of the signal leads to it.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

EVERY_SECONDS = 0.25


def server_here() -> Any:
    """The uvicorn server of this process; None if it is another one."""
    for number in (signal.SIGTERM, signal.SIGINT):
        found = getattr(signal.getsignal(number), "__self__", None)
        if hasattr(found, "should_exit"):
            return found
    return None


async def note_end(server: Any, stopping: asyncio.Event) -> None:
    """Set `stopping` when the server begins to end."""
    while not server.should_exit:
        await asyncio.sleep(EVERY_SECONDS)
    stopping.set()
