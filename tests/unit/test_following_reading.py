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
from windlass.following.reading import Reader, may_gather

TABLE = Relation(1, "public", "a", "f", (RelationColumn("id", 25, -1, True),))
EACH_SECONDS = 0.0005


class Trickle:
    """A stream to which a transaction is added all the time; each read takes what is there."""

    def __init__(self) -> None:
        self.log_end, self.quiet_lsn = NOWHERE, NOWHERE
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
    ("frames", "passed_seconds", "gathers"),
    [
        ([b"x" * 100] * 6, 0.001, True),  # writers at work
        ([b"x" * 100] * 100, 0.01, True),  # after a wait
        ([b"x" * 100] * 6, 1.0, False),  # a writer now and then
        ([b"x" * 100] * 6, 0.00001, False),  # a transaction that is just sent
        ([b"x" * 100] * 600, 0.01, False),  # a backlog
        ([b"x" * 100_000], 0.01, False),  # large rows
        ([b"x" * 100] * 400, 0.018, False),  # we are what is slow
    ],
)
def test_only_a_stream_that_brings_little_is_waited_for(
    frames: list[bytes], passed_seconds: float, gathers: bool
) -> None:
    assert may_gather(frames, passed_seconds) is gathers
