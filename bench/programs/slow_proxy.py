"""A proxy before a server that answers late, and counts round trips.

    python -m bench.programs.slow_proxy PORT SECONDS

Each direction takes SECONDS longer. It is a separate process, so that it takes nothing from those
that are measured but its share of the cores.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

BLOCK_BYTES = 1 << 16


@dataclass
class _Turns:
    """The round trips of one connection: one begins where the client sends after the server."""

    is_asking: bool = False
    count: int = 0

    def take(self, *, asks: bool) -> None:
        self.count += asks and not self.is_asking
        self.is_asking = asks


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    seconds: float,
    take: Callable[[], None],
) -> None:
    """Every block after its own delay: the link is slow to answer, not narrow."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, block = await queue.get()
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            if not block:
                writer.close()
                return
            writer.write(block)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    with contextlib.suppress(ConnectionError):
        while block := await reader.read(BLOCK_BYTES):
            take()
            queue.put_nowait((time.monotonic() + seconds, block))
    queue.put_nowait((time.monotonic() + seconds, b""))
    with contextlib.suppress(ConnectionError):
        await delivering


async def serve(port: int, seconds: float) -> None:
    """Print the proxy's port, and at SIGTERM the round trips: all, and the most of a connection."""
    connections: list[_Turns] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        turns = _Turns()
        connections.append(turns)
        await asyncio.gather(
            _pass_on(reader, there[1], seconds, partial(turns.take, asks=True)),
            _pass_on(there[0], writer, seconds, partial(turns.take, asks=False)),
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()
    counts = [turns.count for turns in connections]
    print(sum(counts), max(counts, default=0), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
