"""A session that writes, for one thread at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from windlass.engines.mysql.quoting import text_of
from windlass.engines.mysql.session import Row, Session
from windlass.errors import WindlassError

_LOCAL_FILES = 1 << 7  # CLIENT_LOCAL_FILES: LOAD DATA LOCAL
_QUERY, _SET_OPTION, _ONE_STATEMENT = 0x03, 0x1B, b"\x01\x00"  # commands of the protocol
_PIECE_BYTES, _HEADER_BYTES = 64 << 10, 4
_SETTINGS = (
    "set session foreign_key_checks = 0, unique_checks = 1, autocommit = 1, innodb_strict_mode = 1",
    "set session transaction isolation level read committed",
)


class TargetSession(Session):
    """Foreign keys are not enforced in it: they are checked as a whole."""

    side = "target"
    doing = "writing"
    # strict, so that no value is changed; 0 does not ask for the next number; a backslash is an
    # ordinary character
    mode = (
        "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES"
    )
    flags = _LOCAL_FILES
    keeps_warnings = True

    def _set_up(self) -> None:
        super()._set_up()
        self._run(self._one_statement(), "connecting")
        for one in _SETTINGS:
            self.run(one)

    async def _one_statement(self) -> None:
        """The server takes one statement at a time, whatever a text contains."""
        await self._connection._execute_command(_SET_OPTION, _ONE_STATEMENT)
        await self._connection.read_packet()

    def run(self, query: sql.Composable | str) -> list[Row]:
        """All rows that a statement returns. The driver's cursors would log the server's warnings,
        which may contain values."""
        return self._all(query)[0]

    def _all(self, query: sql.Composable | str) -> tuple[list[Row], int]:
        """All rows, and the number of warnings."""

        async def all_rows() -> tuple[list[Row], int]:
            await self._connection.query(query if isinstance(query, str) else text_of(query))
            result = self._connection._result
            return list(result.rows or ()), int(result.warning_count)

        found: tuple[list[Row], int] = self._run(all_rows(), self.doing)
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction. A statement that defines something commits it, and starts no other."""
        self.run("start transaction")
        try:
            yield
            self.run("commit")
        except BaseException:
            if not self.is_dead:
                self.run("rollback")
            raise

    def load(self, query: sql.Composable, data: bytes) -> int:
        """Run a LOAD DATA LOCAL with `data` as its file; returns the number of rows added. The
        driver's own way would send any file that the server requests.

        Raises:
            WindlassError: the server has changed or skipped rows, for which it reports no error.
        """

        async def load() -> tuple[int, int]:
            from asyncmy.protocol import OKPacketWrapper

            connection = self._connection
            await connection._execute_command(_QUERY, text_of(query).encode())
            packet = await connection.read_packet()
            if not packet.is_load_local_packet():
                raise ConnectionResetError("the server does not ask for the rows")
            for start in range(0, len(data), _PIECE_BYTES):
                connection.write_packet(data[start : start + _PIECE_BYTES])
                await connection._proto.drain()
            connection.write_packet(b"")
            # a server that stops before it has read everything counts fewer packets than the driver
            protocol = connection._proto
            await protocol.wait_for_data(_HEADER_BYTES)
            if protocol.length - protocol.pos >= _HEADER_BYTES:
                connection._next_seq_id = protocol.buffer[protocol.pos + _HEADER_BYTES - 1]
            done = OKPacketWrapper(await connection.read_packet())
            return int(done.affected_rows), int(done.warning_count)

        added, warnings = self._run(load(), "adding rows")
        if warnings:
            raise WindlassError(f"{self.place}: {self._warned()}", side=self.side)
        return int(added)

    def add(self, query: str) -> None:
        """Run an INSERT.

        Raises:
            WindlassError: the server has changed values, for which it reports no error.
        """
        if self._all(query)[1]:
            raise WindlassError(f"{self.place}: {self._warned()}", side=self.side)

    def _warned(self) -> str:
        """The first message, without the value that it may quote."""
        number = next((one[1] for one in self.run("show warnings limit 1")), b"") or b""
        return (
            f"the server would change or skip rows (warning {number.decode()}):"
            " nothing of the table is kept"
        )

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> Any:
        """See `windlass.engines.destination.Session`."""
        assert not parameters, "values are literals"
        return self.run(query)
