"""A session with a server of MySQL or MariaDB, for one thread at a time; it only reads.

The driver is asynchronous: each session has its own event loop, which runs only while it is used.
Values come as the bytes that the server sends.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from psycopg import sql

from windlass.engines.mysql.address import Address
from windlass.engines.mysql.errors import explaining, number_of
from windlass.engines.mysql.quoting import Bytes, Quoted, Text, Whole, part, text_of
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
Row = tuple[bytes | None, ...]

SLICE_ROWS = 500  # taken from the driver at once
BATCH_BYTES = 256 << 10
_LONG_SECONDS = 31_536_000  # the most that the server takes: a year
# NO_BACKSLASH_ESCAPES: a backslash in a literal is just that. No other mode, so that CHAR has no
# trailing blanks, and `||`, `"` and zero dates have their default meaning
_MODE = "NO_BACKSLASH_ESCAPES"
_INTERRUPTED = 1317


class Session:
    """Made connected; `close` it."""

    side = "source"
    mode = _MODE
    doing = "reading"
    flags = 0  # of the client, besides the driver's own
    keeps_warnings = False  # the driver would log them, and they show values

    def __init__(self, address: Address) -> None:
        """Raises:
        WindlassError: it cannot connect; `retryable` where trying again can help.
        """
        self.address = address
        self.is_dead = False
        self.number = 0  # the server's number for this session
        self._loop = asyncio.new_event_loop()
        try:
            self._connection = self._run(self._connect(), "connecting")
            self.number = int(self._connection.thread_id())
            self._set_up()
        except BaseException:
            self.close()
            raise

    async def _connect(self) -> Any:
        from asyncmy import connect

        try:
            given = self.address.arguments()
        except OSError as error:
            raise WindlassError(
                f"{self.address.place}: the certificate cannot be read: {error}",
                hint="check ssl-ca, ssl-cert and ssl-key in the URL",
                side=self.side,
            ) from error
        return await connect(
            **given,
            conv={},
            use_unicode=False,
            charset="utf8mb4",
            autocommit=None,
            client_flag=self.flags,
            program_name="windlass",
        )

    def _set_up(self) -> None:
        row = self.one("select version(), @@version_comment")
        version, comment = (_text(value) for value in row)
        self.is_mariadb = "mariadb" in f"{version} {comment}".lower()
        self.version_text = version.split("-")[0]
        numbers = [int(one) for one in self.version_text.split(".")[:3]]
        self.version = tuple(numbers)
        self.run(_settings(Text(self.mode), _LONG_SECONDS))
        # the limits by which the server would end a long statement or an idle transaction
        if self.is_mariadb:  # the cache confuses 'a' with 'A' where their collation does
            self.run(part("set session optimizer_switch = {}", Text("subquery_cache=off")))
        if all(self.address.pads):
            inner, outer = map(Bytes, self.address.pads)
            self.run(part("set @windlass_inner = {}, @windlass_outer = {}", inner, outer))
        limits = ["max_statement_time", "idle_transaction_timeout"] if self.is_mariadb else []
        limits += ["idle_readonly_transaction_timeout"] if self.is_mariadb else []
        limits += [] if self.is_mariadb else ["max_execution_time"]
        limits += [] if self.keeps_warnings else ["max_error_count"]
        if not self.is_mariadb and self.version >= (8,):
            limits.append("information_schema_stats_expiry")  # otherwise the next number is cached
        for limit in limits:
            self.run(part("set session {} = 0", Quoted(limit)))

    def run(self, query: sql.Composable | str) -> list[Row]:
        """All rows that a statement returns."""

        async def all_rows() -> list[Row]:
            cursor = self._connection.cursor()
            await cursor.execute(_written(query))
            return list(await cursor.fetchall())

        return self._run(all_rows(), self.doing)

    def named(self, query: str) -> tuple[list[Row], tuple[str, ...]]:
        """All rows, and the names of their columns."""

        async def all_rows() -> tuple[list[Row], tuple[str, ...]]:
            cursor = self._connection.cursor()
            await cursor.execute(query)
            return list(await cursor.fetchall()), tuple(one[0] for one in cursor.description)

        found: tuple[list[Row], tuple[str, ...]] = self._run(all_rows(), "reading the catalog")
        return found

    def one(self, query: sql.Composable | str) -> Row:
        return self.run(query)[0]

    def stream(
        self, query: sql.Composable | str, slice_rows: int = SLICE_ROWS
    ) -> Iterator[Sequence[Row]]:
        """The rows of a query, in batches as the server sends them: `slice_rows` at a time, up to
        `BATCH_BYTES`. If the iteration ends early, the query is stopped on the server."""
        from asyncmy.cursors import SSCursor

        cursor = self._connection.cursor(SSCursor)
        is_open = True
        try:
            self._run(cursor.execute(_written(query)), "reading")
            while rows := self._run(_batch(cursor, slice_rows), "reading", waits=False):
                yield rows
            is_open = False
        except WindlassError:
            is_open = False
            raise
        finally:
            if is_open and not self.is_dead:
                self._leave(cursor)

    def _leave(self, cursor: Any) -> None:
        stop(self.address, [self.number])
        with suppress(WindlassError):
            self._run(cursor.close(), "stopping a query", passing={_INTERRUPTED})

    def _run(
        self,
        work: Coroutine[Any, Any, T],
        doing: str,
        passing: set[int] | None = None,
        *,
        waits: bool = True,
    ) -> T | Any:
        """`waits`: run in the event loop from the start, not only once there is something to wait
        for."""
        from asyncmy import errors

        if self.is_dead:
            work.close()
        with explaining(doing, self.place, self.side):
            if self.is_dead:
                raise ConnectionResetError("the connection is lost")
            try:
                if not waits:
                    return self._eager(work)
                if self.number:
                    self._reads(True)
                return self._loop.run_until_complete(work)
            except (errors.MySQLError, OSError, EOFError) as error:
                number = number_of(error)
                if number in (passing or ()):
                    return None
                # errors of the client, and of the server for sessions that it ends
                self.is_dead = number == 0 or 2000 <= number < 3000 or number in (1053, 1927, 4031)
                raise

    def _eager(self, work: Coroutine[Any, Any, T]) -> T:
        """Run without the event loop as far as possible, and let it read only while nothing else is
        to do. Otherwise the driver takes all that the socket has, some megabytes, and parses it at
        once: each of two sessions held 60 MB that way."""
        try:
            future = work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result

        async def rest() -> T:
            return await _continued(work, future, self._reads)

        return self._loop.run_until_complete(rest())

    def _reads(self, is_reading: bool) -> None:
        """Whether the event loop takes what arrives, while it runs."""
        transport = self._connection._proto.transport
        if transport is not None:
            (transport.resume_reading if is_reading else transport.pause_reading)()

    @property
    def place(self) -> str:
        return f"{self.address.database} on {self.address.place}"

    def close(self) -> None:
        connection = getattr(self, "_connection", None)
        with suppress(Exception):  # it ends anyway
            if connection is not None and not self.is_dead:
                self._loop.run_until_complete(asyncio.wait_for(connection.ensure_closed(), 5))
        if connection is not None:
            connection.close()
        self.is_dead = True
        if not self._loop.is_closed():
            with suppress(RuntimeError):  # a closed transport of the driver raises this
                self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()


@types.coroutine
def _continued(
    work: Coroutine[Any, Any, T], future: Any, reads: Callable[[bool], None]
) -> Generator[Any, None, T]:
    """The rest of a coroutine that is waiting for a future."""
    while True:
        try:
            reads(True)
            try:
                yield future
            except BaseException as error:
                future = work.throw(error)
            else:
                reads(False)
                future = work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result


async def _batch(cursor: Any, slice_rows: int) -> list[Row]:
    rows: list[Row] = await cursor.fetchmany(slice_rows)
    if slice_rows >= SLICE_ROWS or len(rows) < slice_rows:
        return rows
    size = sum(sum(map(len, filter(None, row))) for row in rows)
    while size < BATCH_BYTES:
        some = await cursor.fetchmany(slice_rows)
        rows += some
        if len(some) < slice_rows:
            break
        size += sum(sum(map(len, filter(None, row))) for row in some)
    return rows


def stop(address: Address, numbers: Sequence[int]) -> None:
    """Stop what sessions are running, from another session; the sessions stay. What cannot be
    stopped ends by itself."""
    with suppress(WindlassError):
        other = Session(address)
        try:
            for number in numbers:
                with suppress(WindlassError):
                    other.run(part("kill query {}", Whole(number)))
        finally:
            other.close()


def _settings(mode: sql.Composable, seconds: int) -> sql.Composed:
    zone = Text("+00:00")
    return part(
        "set session time_zone = {zone}, sql_mode = {mode}, wait_timeout = {seconds},"
        " net_read_timeout = 3600, net_write_timeout = 3600, sql_quote_show_create = 1",
        zone=zone,
        mode=mode,
        seconds=Whole(seconds),
    )


def _written(query: sql.Composable | str) -> str:
    return query if isinstance(query, str) else text_of(query)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
