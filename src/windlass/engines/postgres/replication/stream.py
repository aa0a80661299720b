"""The stream of a logical replication slot: its frames, and the reports of our progress to the
server.

Decides when to report; what is decoded, and what counts as safe, is decided elsewhere. psycopg
starts the stream (its pull request 1219); libpq's COPY functions read and write it. One thread
reads; any thread may call `confirm` and `wake`.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from struct import Struct
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq, sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.replication.connecting import SENDER_TIMEOUT_SECONDS, connect
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn, text
from windlass.engines.postgres.replication.slots import explain_slot, read_slot
from windlass.errors import ConnectionLost, SlotLost

if TYPE_CHECKING:
    from windlass.engines.postgres.session import Address, Connection

REPORT_SECONDS = 10.0  # at least this often; the server ends a stream that is silent for a minute
_PROGRESS_SECONDS = 1.0  # between reports of progress
_MOST_BYTES = 1 << 20  # of one read, if more is there
_END_SECONDS = 5.0  # how long the server may take to end the stream
_EPOCH = 946_684_800  # 2000-01-01 UTC

# The server decodes a whole transaction before it sends any of it, and writes it to files where it
# needs more than 64 MB. With 256 MB a transaction of 1M inserts was applied in 0.74 of the time. A
# server with few shared buffers is asked for less.
_DECODING = """
select least(262144, 2 * buffers.setting::bigint * buffers.unit_kb)
from pg_settings as decoding,
    (select setting, pg_size_bytes(unit) / 1024 as unit_kb from pg_settings
    where name = 'shared_buffers') as buffers
where decoding.name = 'logical_decoding_work_mem' and decoding.source = 'default'
    and decoding.setting::bigint < least(262144, 2 * buffers.setting::bigint * buffers.unit_kb)
"""

_XLOG, _KEEPALIVE = b"wk"
_START = Struct("!xQ")  # of a frame with data: where it is in the log
_ALIVE = Struct("!xQqB")
_STATUS = Struct("!cQQQqB")


class Stream:
    """What a slot sends, until it ends or is closed."""

    def __init__(self, connection: Connection, slot: str, *, side: str) -> None:
        self._connection, self._pgconn = connection, connection.pgconn
        self.slot, self.side = slot, side
        self.quiet_lsn: Lsn = NOWHERE  # as last reported by the server
        self._written = self._confirmed = self._reported = NOWHERE
        self._reported_at = time.monotonic()
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def read(self, timeout_seconds: float) -> list[bytes]:
        """Frames that have arrived, in order, each with its header; waits for the first one.

        Empty if the time is over, if `wake` was called, or if the server only showed that it is
        alive. In that case everything in its log before `quiet_lsn` has been sent.

        Raises:
            ConnectionLost: the server has ended the stream, or is gone.
        """
        with self._explaining():
            deadline = time.monotonic() + timeout_seconds
            self.quiet_lsn = NOWHERE
            while True:
                self.report()
                frames = self._take()
                left = deadline - time.monotonic()
                if frames or self.quiet_lsn or left <= 0 or self._await(left):
                    return frames

    def has_more(self) -> bool:
        """Whether the server has sent more than was read."""
        sent = self._pgconn.socket
        return any(handle == sent for handle, _ in self._poll.poll(0))

    def confirm(self, lsn: Lsn) -> None:
        """Everything before `lsn` is safe on the other side: the server may forget it."""
        if lsn > self._confirmed:
            self._confirmed = lsn

    def report(self, *, now: bool = False) -> None:
        """Report our progress to the server, if it is time to."""
        if now or time.monotonic() >= self._due_at:
            self._send_status()

    def wake(self) -> None:
        """Make a `read` in another thread return."""
        with suppress(OSError):  # full: it will wake; closed: there is nothing to wake
            self._waker.send(b"x")

    def close(self) -> None:
        """End the stream properly if the server cooperates, otherwise at once."""
        with suppress(psycopg.Error, ConnectionLost, OSError):
            self._send_status()
            self._pgconn.put_copy_end()
            self._flush(_END_SECONDS)
            self._drain()
        self._connection.close()
        self._woken.close()
        self._waker.close()

    def _take(self) -> list[bytes]:
        """Everything that has arrived. What libpq or TLS hold in memory is taken before waiting for
        the socket, which would not show it."""
        frames: list[bytes] = []
        take, add = self._pgconn.get_copy_data, frames.append
        size = heard_after = 0
        has_looked = False
        while size < _MOST_BYTES:
            length, data = take(1)
            if length > 0:
                frame = bytes(data)
                if frame[0] == _XLOG:
                    add(frame)
                    size += length
                else:
                    self._hear(frame)
                    heard_after = len(frames)
            elif length < 0:
                self._ended()
            elif has_looked:
                break
            else:
                self._pgconn.consume_input()
                has_looked = True
        if len(frames) > heard_after:
            self.quiet_lsn = NOWHERE
        if frames:
            (start,) = _START.unpack_from(frames[-1])
            self._written = max(self._written, Lsn(start))
        return frames

    def _hear(self, frame: bytes) -> None:
        """Handle a keepalive: everything in the log before its position has been sent."""
        if frame[0] != _KEEPALIVE:
            raise ConnectionLost(
                f"the change stream has a frame of an unknown kind {chr(frame[0])!r}",
                side=self.side,
            )
        end, _, asks = _ALIVE.unpack(frame)
        self.quiet_lsn = Lsn(end)
        if asks:
            self._send_status()

    def _await(self, seconds: float) -> bool:
        """Wait for the server, at most until the next report; returns whether somebody has woken
        us."""
        until_report = max(0.0, self._due_at - time.monotonic())
        ready = self._poll.poll(min(seconds, until_report) * 1000)
        if any(handle == self._woken.fileno() for handle, _ in ready):
            self._woken.recv(4096)
            return True
        return False

    def _send_status(self) -> None:
        confirmed = self._confirmed
        now = int((time.time() - _EPOCH) * 1_000_000)
        written = max(self._written, confirmed)
        self._pgconn.put_copy_data(_STATUS.pack(b"r", written, confirmed, confirmed, now, 0))
        self._flush(REPORT_SECONDS)
        self._reported, self._reported_at = confirmed, time.monotonic()

    def _flush(self, seconds: float) -> None:
        """Pass what libpq holds to the kernel: a server that is busy sending may not read at
        once."""
        deadline = time.monotonic() + seconds
        while self._pgconn.flush():
            left = deadline - time.monotonic()
            if left <= 0:
                raise ConnectionLost("the server takes no status messages", side=self.side)
            self._pgconn.consume_input()  # it may wait for us to read
            select.select([], [self._pgconn.socket], [], min(left, 0.1))

    def _drain(self) -> None:
        deadline = time.monotonic() + _END_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            length, _ = self._pgconn.get_copy_data(1)
            if length < 0:
                return
            if length == 0:
                select.select([self._pgconn.socket], [], [], left)
                self._pgconn.consume_input()

    def _ended(self) -> None:
        """Raise why the server has ended the stream."""
        while result := self._pgconn.get_result():
            if result.status == pq.ExecStatus.FATAL_ERROR:
                error = psycopg.errors.error_from_result(result, "utf-8")
                if error.sqlstate is None:  # libpq's own: the connection is gone
                    raise psycopg.OperationalError(str(error))
                raise error
            if result.status == pq.ExecStatus.COPY_IN:  # it waits for the end of ours
                break
        raise ConnectionLost(
            f"the {self.side} has ended the change stream of slot {self.slot}", side=self.side
        )

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except psycopg.OperationalError as error:
            if isinstance(found := explain(error, self._doing, side=self.side), ConnectionLost):
                raise found from error
            raise ConnectionLost(str(found), hint=found.hint, side=self.side) from error
        except psycopg.Error as error:
            raise explain(error, self._doing, side=self.side) from error

    @property
    def _due_at(self) -> float:
        """When the next report is due."""
        has_progress = self._confirmed > self._reported
        return self._reported_at + (_PROGRESS_SECONDS if has_progress else REPORT_SECONDS)

    @property
    def _doing(self) -> str:
        return f"reading slot {self.slot}"


def start(
    address: Address,
    like: Connection,
    purpose: str,
    slot: str,
    publications: Sequence[str],
    *,
    after: Lsn = NOWHERE,
    with_messages: bool = False,
    sender_timeout_seconds: int = SENDER_TIMEOUT_SECONDS,
) -> Stream:
    """Begin to read `slot`, through a new session to the server that `like` reached.

    Transactions that ended before `after`, or before what was confirmed earlier, are not sent.

    Raises:
        SlotLost: the slot is gone, or the server has removed what it needs; or more was confirmed
            than `after`, so that what is between them will not come again.
        ConnectionLost: another process reads it, or the server is gone.
    """
    if after:
        _check_confirmed(like, slot, after, address.side)
    settings = {
        "wal_sender_timeout": f"{sender_timeout_seconds}s",
        **_decoding_memory(like, address.side),
    }
    connection = connect(address, like, purpose, settings)
    names = sql.SQL(",").join(map(sql.Identifier, publications)).as_string(connection)
    options: list[sql.Composable] = [
        sql.SQL("proto_version '1', publication_names {}").format(sql.Literal(names))
    ]
    if with_messages and like.info.server_version >= 140000:
        options.append(sql.SQL("messages 'true'"))
    command = sql.SQL("START_REPLICATION SLOT {} LOGICAL {} ({})").format(
        sql.Identifier(slot), sql.SQL(text(after)), sql.SQL(", ").join(options)
    )
    try:
        connection.execute(command)
        found = Stream(connection, slot, side=address.side)
    except psycopg.Error as error:
        connection.close()
        raise explain_slot(error, like, slot, side=address.side) from error
    found.confirm(after)
    return found


def _decoding_memory(like: Connection, side: str) -> dict[str, str]:
    """The setting for decoding; empty if somebody has set it, or if the server is older than 13."""
    try:
        row = like.execute(_DECODING).fetchone()
    except psycopg.Error as error:
        raise explain(error, "reading the server's settings", side=side) from error
    return {"logical_decoding_work_mem": f"{row[0]}kB"} if row else {}


def _check_confirmed(like: Connection, slot: str, after: Lsn, side: str) -> None:
    """Check that no more was confirmed than is applied: the side that is applied to may be an older
    copy."""
    state = read_slot(like, slot, side=side)
    if state is None or state.confirmed_lsn is None or state.confirmed_lsn <= after:
        return
    raise SlotLost(
        f"changes up to {text(state.confirmed_lsn)} were confirmed to the {side} as applied, but"
        f" only those before {text(after)} are: the other side has lost changes that were on its"
        " disk, as after a restored backup",
        side=side,
        slot=slot,
    )
