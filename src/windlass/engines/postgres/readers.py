"""The sessions that read an export's rows, kept open from one relation to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from windlass.engines.kept import Kept
from windlass.engines.postgres.arrow import ArrowReader
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.postgres.snapshot import enter, enter_again


class Reader:
    """Up to two sessions in one snapshot: one for COPY as text, one for Arrow. Each is opened when
    needed."""

    def __init__(self, address: Address, purpose: str, holder: Connection | None) -> None:
        """`holder` is a session of this process with the same server, if there is one."""
        self._address, self._purpose, self._holder = address, purpose, holder
        self._snapshot = ""
        self._plain: Connection | None = None
        self._arrow: ArrowReader | None = None
        self.is_idle = True  # nothing is being read, so it can be lent again

    def enter(self, snapshot: str) -> None:
        """Enter this snapshot. Releases locks on relations that were read before.

        Raises:
            SnapshotLost: it is no longer held.
        """
        self._snapshot = snapshot
        if self._plain is not None:
            enter_again(self._plain, snapshot)
        if self._arrow is not None:
            self._arrow.enter_again(snapshot)

    @property
    def plain(self) -> Connection:
        if self._plain is None:
            connection = self._address.connect(Role.SOURCE, self._purpose)
            try:
                enter(connection, self._snapshot)
            except BaseException:
                connection.close()
                raise
            self._plain = connection
        return self._plain

    @property
    def any(self) -> Connection:
        """A session of the same role, to read settings from."""
        return self._holder or self.plain

    @property
    def arrow(self) -> ArrowReader:
        if self._arrow is None:
            purpose = f"{self._purpose} rows"
            self._arrow = ArrowReader(self._address, self.any, self._snapshot, purpose)
        return self._arrow

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Used while rows are read. If reading stops early, the sessions are not lent again."""
        self.is_idle = False
        yield
        self.is_idle = True

    def close(self) -> None:
        if self._plain is not None:
            self._plain.close()
        if self._arrow is not None:
            self._arrow.close()
        self._plain = self._arrow = None
        self.is_idle = True


class Readers:
    """Those of one source."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._kept: Kept[Reader] = Kept(Reader.close)

    @contextmanager
    def one(
        self, snapshot: str, purpose: str, holder: Callable[[], Connection | None]
    ) -> Iterator[Reader]:
        with self._kept.one(lambda: Reader(self._address, purpose, holder())) as reader:
            reader.enter(snapshot)
            yield reader
            if not reader.is_idle:
                reader.close()

    def close(self) -> None:
        self._kept.close()
