"""How much of what was applied is on the target's disk.

Commits do not wait for the disk (`synchronous_commit = off`). The source must keep what the target
could still lose. So the position that the target's log had after a commit is compared with the
position up to which it is flushed.
"""

from __future__ import annotations

from collections import deque

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.replication.lsn import Lsn
from windlass.engines.postgres.session import Connection

# A position at the beginning of a page includes the page's header, which is not written before the
# next record is (XLogBytePosToRecPtr in xlog.c): 24 bytes, or 40 in a segment's first page.
_POSITIONS = (
    "select (pg_current_wal_insert_lsn() - '0/0')::bigint,"
    " (pg_current_wal_flush_lsn() - '0/0')::bigint,"
    " current_setting('wal_block_size')::int"
)
_HEADERS = (24, 40)


class Durable:
    """What is durable of one stream, in positions of the source."""

    def __init__(self, lsn: Lsn) -> None:
        """Everything before `lsn` is on disk."""
        self.lsn = self._newest = lsn
        self._waiting: deque[tuple[int, Lsn]] = deque()  # the target's position, the source's

    @property
    def is_behind(self) -> bool:
        """Whether something that was committed may not be on disk yet."""
        return self.lsn < self._newest

    def committed(self, end_lsn: Lsn) -> None:
        """A transaction that moved the position to `end_lsn` has committed on the target."""
        self._newest = max(self._newest, end_lsn)

    def look(self, session: Connection, *, side: str) -> Lsn:
        """Ask the target. Returns the source's position before which everything is on disk."""
        try:
            row = session.execute(_POSITIONS).fetchone()
        except psycopg.Error as error:
            raise explain(error, "reading the log's position", side=side) from error
        assert row is not None
        inserted, flushed, block = (int(str(value)) for value in row)
        if inserted % block in _HEADERS:
            inserted -= inserted % block
        if not self._waiting or self._waiting[-1][1] < self._newest:
            self._waiting.append((inserted, self._newest))
        while self._waiting and self._waiting[0][0] <= flushed:
            self.lsn = max(self.lsn, self._waiting.popleft()[1])
        return self.lsn
