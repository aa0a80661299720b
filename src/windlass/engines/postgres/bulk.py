"""Sessions that move rows. Decides whether a connection needs asyncpg or libpq.

asyncpg delivers COPY data in blocks of about 250 kB, at a tenth of the cost of a call per row. It
is not libpq, though: where the address needs what only libpq supports, rows go through libpq.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import errors, pq, sql

from windlass.engines.postgres.copy import Bulk, In, Out, Write
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Address, Connection, Role, why_libpq

if TYPE_CHECKING:
    import asyncpg

_BLOCK_BYTES = 256 << 10
_OK = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_CLOSED_SECONDS = 5.0  # a server closes the socket milliseconds after it has said that it will
T = TypeVar("T")


async def open_bulk(address: Address, like: Connection, role: Role, purpose: str) -> Bulk:
    """A session on the server that `like` reached, through the driver that supports every
    parameter.

    Raises:
        WindlassError: with the cause, also if `like` has ended.
    """
    with explaining(str(address), side=address.side):
        if why_libpq(like):
            return LibpqBulk(address.at(like).connect(role, purpose))
        return AsyncpgBulk(await address.connect_async(like, role, purpose))


class AsyncpgBulk:
    """Passes on blocks as they come from the socket."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def copy_out(self, what: Out, write: Write) -> None:
        if what.query:
            copying = self._connection.copy_from_query(
                what.query, output=write, format=what.form.value
            )
        else:
            copying = self._connection.copy_from_table(
                what.name.name,
                schema_name=what.name.schema,
                columns=what.columns or None,
                output=write,
                format=what.form.value,
            )
        await self._unless_ended(copying)

    async def copy_in(self, what: In, blocks: AsyncIterator[bytes]) -> int:
        copying = self._connection.copy_to_table(
            what.name.name,
            schema_name=what.name.schema,
            columns=what.columns or None,
            source=blocks,
            format=what.form.value,
            freeze=what.freeze or None,
        )
        tag = await self._unless_ended(self._unless_lost(copying))
        return int(tag.rpartition(" ")[2])

    async def _unless_lost(self, work: Coroutine[object, object, str]) -> str:
        """Fail when the connection is lost: asyncpg would wait forever for permission to write."""
        task = asyncio.ensure_future(work)
        is_lost = False

        def lose(_: object) -> None:
            nonlocal is_lost
            is_lost = True
            task.cancel()

        self._connection.add_termination_listener(lose)
        try:
            return await task
        except asyncio.CancelledError:
            if is_lost:
                raise ConnectionResetError("the connection was lost while writing") from None
            raise
        finally:
            self._connection.remove_termination_listener(lose)

    async def execute(self, statement: str) -> str:
        return str(await self._unless_ended(self._connection.execute(statement)))

    async def _unless_ended(self, work: Coroutine[object, object, T]) -> T:
        """A server says why it ends a session, and then closes the socket. If nothing runs in the
        session, asyncpg forgets the reason, and until it has read that the socket is closed, it
        fails with what looks like its own fault."""
        import asyncpg

        try:
            return await work
        except asyncpg.InternalClientError as error:
            if await self._is_closing():
                raise ConnectionResetError("the server has ended the session") from error
            raise

    async def _is_closing(self) -> bool:
        closed = asyncio.Event()

        def close(_: object) -> None:
            closed.set()

        self._connection.add_termination_listener(close)
        try:
            if not self.is_closed:
                await asyncio.wait_for(closed.wait(), _CLOSED_SECONDS)
        except TimeoutError:
            return False
        finally:
            self._connection.remove_termination_listener(close)
        return True

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    def cancel(self) -> None:
        """Nothing to do: nothing waits outside the event loop."""

    def terminate(self) -> None:
        if not self.is_closed:
            self._connection.terminate()


class LibpqBulk:
    """libpq returns one row at a time; they are joined to blocks here.

    The event loop waits for the socket while rows move; single statements block it, since neither
    side has anything else to do.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn

    async def copy_out(self, what: Out, write: Write) -> None:
        await self._start(_copy_out(what), pq.ExecStatus.COPY_OUT)
        rows: list[bytes] = []
        size = 0
        while True:
            length, row = self._libpq.get_copy_data(1)
            if length > 0:
                rows.append(bytes(row))
                size += length
            elif length == 0:
                await self._until_readable()
            else:
                break
            if size >= _BLOCK_BYTES:
                await write(b"".join(rows))
                rows.clear()
                size = 0
        if rows:
            await write(b"".join(rows))
        await self._finish()

    async def copy_in(self, what: In, blocks: AsyncIterator[bytes]) -> int:
        await self._start(_copy_in(what), pq.ExecStatus.COPY_IN)
        async for block in blocks:
            while not self._libpq.put_copy_data(block):
                await self._flush()
            await self._flush()
        while not self._libpq.put_copy_end():
            await self._flush()
        return (await self._finish()).command_tuples or 0

    async def execute(self, statement: str) -> str:
        cursor = self._connection.execute(statement.encode(), prepare=False)
        while cursor.nextset():
            pass
        return cursor.statusmessage or ""

    @property
    def is_closed(self) -> bool:
        return self._connection.closed

    def cancel(self) -> None:
        if not self._connection.closed:
            with contextlib.suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=5)

    def terminate(self) -> None:
        self._connection.close()

    async def _start(self, statement: sql.Composed, expected: pq.ExecStatus) -> None:
        self._libpq.send_query(statement.as_bytes(self._connection))
        result = await self._result()
        if result is None or result.status != expected:
            raise self._error(result)

    async def _finish(self) -> pq.abc.PGresult:
        """The result of a COPY, and the end of its statement."""
        result = await self._result()
        if result is None or result.status not in _OK:
            raise self._error(result)
        while await self._result():
            pass
        return result

    async def _result(self) -> pq.abc.PGresult | None:
        await self._flush()
        while self._libpq.is_busy():
            await self._until_readable()
        return self._libpq.get_result()

    def _error(self, result: pq.abc.PGresult | None) -> psycopg.Error:
        if result is None:
            return psycopg.OperationalError("the server has ended the session")
        return errors.error_from_result(result, self._connection.info.encoding)

    async def _flush(self) -> None:
        """Send what libpq has buffered. Reads as well: a server that waits to send does not
        read."""
        while self._libpq.flush():
            readable = await self._until(reading=True, writing=True)
            if readable:
                self._libpq.consume_input()

    async def _until_readable(self) -> None:
        await self._until(reading=True, writing=False)
        self._libpq.consume_input()

    async def _until(self, *, reading: bool, writing: bool) -> bool:
        """Wait for the socket; returns whether there is something to read."""
        loop, socket = asyncio.get_running_loop(), self._libpq.socket
        ready: asyncio.Future[bool] = loop.create_future()

        def wake(readable: bool) -> None:
            if not ready.done():
                ready.set_result(readable)

        if reading:
            loop.add_reader(socket, wake, True)
        if writing:
            loop.add_writer(socket, wake, False)
        try:
            return await ready
        finally:
            loop.remove_reader(socket)
            loop.remove_writer(socket)


def _copy_out(what: Out) -> sql.Composed:
    rows = sql.SQL("({})").format(sql.SQL(what.query)) if what.query else _table(what)
    return sql.SQL("copy {} to stdout (format {})").format(rows, sql.SQL(what.form.value))


def _copy_in(what: In) -> sql.Composed:
    freeze = sql.SQL(", freeze" if what.freeze else "")
    return sql.SQL("copy {} from stdin (format {}{})").format(
        _table(what), sql.SQL(what.form.value), freeze
    )


def _table(what: In | Out) -> sql.Composed:
    name = sql.Identifier(what.name.schema, what.name.name)
    if not what.columns:
        return sql.Composed([name])
    columns = sql.SQL(", ").join(map(sql.Identifier, what.columns))
    return sql.SQL("{} ({})").format(name, columns)
