"""The only session with a database: read-only, in one transaction, for one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from windlass.engines.odbc.address import Address
from windlass.engines.stopping import Stops
from windlass.errors import ConnectionLost, Interrupted, SnapshotLost, WindlassError

SIDE = "source"
SLICE_ROWS = 500
CONNECT_SECONDS = 15
_NAME, _VERSION, _QUOTE, _DATABASE, _USER, _ISOLATIONS = 17, 18, 29, 16, 47, 72  # of SQLGetInfo
_SET_ISOLATION = 108  # SQL_ATTR_TXN_ISOLATION
_LEVELS = {4: "repeatable read", 8: "serializable", 2: "read committed"}


class Session:
    """Made connected; `close` it."""

    hashed: Callable[[str], str] | None = None  # with a secret key

    def __init__(self, address: Address, stops: Stops) -> None:
        """Raises:
        WindlassError: it cannot connect; `retryable` where trying again can help.
        """
        import pyodbc

        self.place, self._stops = address.place, stops
        self._lock = threading.Lock()
        self.is_lost = False
        pyodbc.pooling = False
        with self.explaining("connecting"):
            self._connection = pyodbc.connect(
                address.text, autocommit=False, readonly=True, timeout=CONNECT_SECONDS
            )
        try:
            with self.explaining("connecting"):
                self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        self.server = str(self._connection.getinfo(_NAME)).strip()
        self.version = str(self._connection.getinfo(_VERSION)).strip()
        self.quote = str(self._connection.getinfo(_QUOTE)).strip() or '"'
        self.database = str(self._connection.getinfo(_DATABASE) or "").strip()
        self.user = str(self._connection.getinfo(_USER) or "").strip()
        able = int(self._connection.getinfo(_ISOLATIONS) or 0)
        wanted = [level for level in _LEVELS if able & level]
        self.isolation = _LEVELS.get(wanted[0], "") if wanted else ""
        if wanted:
            self._connection.set_attr(_SET_ISOLATION, wanted[0])

    @contextmanager
    def explaining(self, doing: str) -> Iterator[None]:
        """Map the driver's errors to ours. A value in a form that Python cannot represent is a
        ValueError."""
        import pyodbc

        try:
            yield
        except pyodbc.Error as error:
            raise self._explained(error, doing) from error
        except (ValueError, UnicodeDecodeError, OverflowError) as error:
            if isinstance(error, WindlassError):
                raise
            message = f"{self.place}: {doing}: a value cannot be read through the driver"
            hint = "exclude the table, or use a driver that can"
            raise WindlassError(message, hint=hint, side=SIDE) from None

    def _explained(self, error: Exception, doing: str) -> WindlassError:
        if self._stops.cancelled:
            return Interrupted("stopped on request")
        state, said = _parts(error)
        message = f"{self.place}: {doing}: {said}"
        if state in ("08S01", "08007", "HYT01", "57P01"):
            self.is_lost = True
            return ConnectionLost(message, hint="check that the server is up", side=SIDE)
        if state.startswith("28"):
            return WindlassError(message, hint="check user and password", side=SIDE)
        if state in ("IM002", "IM003", "01000"):
            hint = "check the driver's or data source's name: `odbcinst -q -d` and `odbcinst -q -s`"
            return WindlassError(message, hint=hint, side=SIDE)
        if state.startswith("08") or state == "HYT00" or doing == "connecting":
            return ConnectionLost(message, hint="check that the server is up", side=SIDE)
        return WindlassError(message, hint="see what the driver says", side=SIDE)

    @contextmanager
    def cursor(self, doing: str) -> Iterator[Any]:
        """A cursor. No other thread can read until the context is left.

        Raises:
            SnapshotLost: the session is gone.
        """
        with self._lock:
            if self.is_lost:
                raise SnapshotLost(
                    f"{self.place}: the session that read everything is gone",
                    hint="run the same command again",
                    side=SIDE,
                )
            with self.explaining(doing):
                cursor = self._connection.cursor()
                try:
                    with self._stops.during(cursor.cancel):
                        yield cursor
                finally:
                    cursor.close()

    def rows(self, query: str, given: Sequence[object], doing: str) -> Iterator[Sequence[Any]]:
        with self.cursor(doing) as cursor:
            cursor.execute(query, *given)
            while rows := cursor.fetchmany(SLICE_ROWS):
                if self._stops.cancelled:
                    raise Interrupted("stopped on request")
                yield from rows

    def close(self) -> None:
        import pyodbc

        try:
            self._connection.rollback()
            self._connection.close()
        except pyodbc.Error:
            self.is_lost = True


def _parts(error: Exception) -> tuple[str, str]:
    """SQLSTATE, and the message without the driver's prefixes. While nothing is written, drivers
    quote no values of rows."""
    state = str(error.args[0]) if error.args else ""
    said = str(error.args[1]) if len(error.args) > 1 else state
    while said.startswith("["):
        said = said.partition("]")[2].lstrip()
    return state, " ".join(said.split()).removesuffix("(SQLDriverConnect)").strip() or state
