"""A TCP proxy between windlass and a server, that cuts, stalls, slows and refuses on command."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

BLOCK_BYTES = 1 << 16
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST, as a dying machine's wire would


@dataclass
class _Turn:
    """Of one connection: whether the client has sent last."""

    is_asking: bool = False


class Proxy:
    """Listens on its own port; use as a context manager.

    `cut` ends every connection that there is; `cut_after` does so once that many bytes more have
    passed; `refuse` lets nobody in until `accept`; `stall` holds every byte until `flow`. Every
    block takes `delay_seconds` longer. `round_trips` are counted over all connections.
    """

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.port = 0
        self.passed_bytes = 0
        self.cuts = self.round_trips = self.most_links = 0
        self.delay_seconds = 0.0
        self._cut_at: int | None = None
        self._refusing = False
        self._links: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        self._do(self._cut())

    def cut_after(self, size_bytes: int) -> None:
        self._cut_at = self.passed_bytes + size_bytes

    def refuse(self) -> None:
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        self._refusing = False

    def stall(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.set)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._flowing.set()
        server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._server = server

    async def _close(self) -> None:
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        self.cuts += bool(self._links)
        for writer in self._links:
            found = writer.get_extra_info("socket")
            if found is not None:
                with suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._links.clear()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            writer.transport.abort()
            return
        self._links |= {writer, there[1]}
        self.most_links = max(self.most_links, len(self._links) // 2)
        try:
            async with asyncio.TaskGroup() as group:
                turn = _Turn()
                group.create_task(self._pass_on(reader, there[1], turn, asks=True))
                group.create_task(self._pass_on(there[0], writer, turn, asks=False))
        except* OSError:
            pass
        finally:
            for one in (writer, there[1]):
                self._links.discard(one)
                one.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: _Turn, *, asks: bool
    ) -> None:
        while block := await reader.read(BLOCK_BYTES):
            self.round_trips += asks and not turn.is_asking
            turn.is_asking = asks
            await self._flowing.wait()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            self.passed_bytes += len(block)
            if self._cut_at is not None and self.passed_bytes >= self._cut_at:
                self._cut_at = None
                await self._cut()
                raise ConnectionResetError
            writer.write(block)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
