"""A stream is read ahead: often enough for its lag, and not for each change."""

from __future__ import annotations

import threading
import time

import pytest

from pgoutput import HEADER, encoded
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn
from windlass.engines.postgres.replication.messages import (
    Begin,
    Commit,
    Insert,
    Relation,
    RelationColumn,
)
from windlass.following.assembling import Limits, Rules
from windlass.following.reading import Pace, Reader

TABLE = Relation(1, "public", "a", "f", (RelationColumn("id", 25, -1, True),))
EACH_SECONDS = 0.0005


class Trickle:
    """A stream to which a transaction is added all the time; each read takes what is there."""

    def __init__(self) -> None:
        self.quiet_lsn = NOWHERE
        self.reads = self.sent = 0
        self._began = time.monotonic()
        self._ended = threading.Event()

    def read(self, timeout_seconds: float) -> list[bytes]:
        self._ended.wait(min(timeout_seconds, EACH_SECONDS))
        self.reads += 1
        found = [] if self.sent else [HEADER + encoded(TABLE)]
        due = int((time.monotonic() - self._began) / EACH_SECONDS)
        for number in range(self.sent + 1, due + 1):
            at = Lsn(number * 10)
            row = Insert(TABLE, (b"%d" % number,))
            found += [HEADER + encoded(one) for one in (Begin(at, 1, 7), row)]
            found.append(HEADER + encoded(Commit(at, Lsn(at + 5), 99)))
        self.sent = max(due, self.sent)
        return found

    def has_more(self) -> bool:
        return False

    def wake(self) -> None:
        self._ended.set()

    def confirm(self, lsn: Lsn) -> None: ...

    def report(self) -> None: ...

    def close(self) -> None: ...


def test_a_busy_stream_is_not_read_for_each_change() -> None:
    stream = Trickle()
    reader = Reader(lambda: stream, Rules("r", "forward"), NOWHERE, Limits())
    taken = 0
    while taken < 800:
        batch = reader.take(5.0)
        assert batch is not None
        taken += batch.transactions
    reader.stop()
    assert stream.reads < stream.sent / 4


@pytest.mark.parametrize(
    ("size_bytes", "passed_seconds", "has_more", "is_slow"),
    [
        (600, 0.001, False, True),  # writers at work
        (15_000, 0.01, False, True),  # after a wait
        (600, 1.0, False, False),  # a writer now and then
        (600, 0.00001, False, False),  # a transaction that is just sent
        (600, 0.001, True, False),  # a part of what has come
        (60_000, 0.01, False, False),  # a backlog
    ],
)
def test_only_a_stream_that_brings_little_is_waited_for(
    size_bytes: int, passed_seconds: float, has_more: bool, is_slow: bool
) -> None:
    pace = Pace()
    pace.is_slow(1, 100.0, has_more=False)
    assert pace.is_slow(size_bytes, 100.0 + passed_seconds, has_more=has_more) is is_slow


def test_a_backlog_in_many_small_reads_is_never_waited_for() -> None:
    """libpq takes some kilobytes at a time from the socket, however much is there."""
    pace, now = Pace(), 100.0
    pace.is_slow(1, now, has_more=False)
    for _ in range(8):
        now += 0.0005
        assert not pace.is_slow(8_000, now, has_more=True)
    assert not pace.is_slow(8_000, now + 0.0005, has_more=False)
