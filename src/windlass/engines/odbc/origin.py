"""Any ODBC database as the source of a migration: `windlass.engines.origin.Origin`. One session
reads everything in one transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from threading import Lock
from uuid import uuid4

from windlass.engines import canonical
from windlass.engines.hashed_lines import can_hash_without_floats
from windlass.engines.odbc import reading as rows
from windlass.engines.odbc.address import read_address
from windlass.engines.odbc.catalog import DIALECTS, Found, read_catalog
from windlass.engines.odbc.fitting import fit_table
from windlass.engines.odbc.session import SIDE, Session
from windlass.engines.stopping import Stops
from windlass.errors import SnapshotLost
from windlass.model.chunk import Range
from windlass.model.plan import Server
from windlass.model.relation import Name
from windlass.model.snapshot import Snapshot
from windlass.model.translation import (
    Answers,
    Fit,
    Reading,
    SourceSchema,
    SourceTable,
)

_OWN = {
    "MariaDB": "mysql://",
    "MySQL": "mysql://",
    "SQLite": "sqlite:///",
    "PostgreSQL": "postgresql://",
}
_ONE_MOMENT = {"MariaDB", "MySQL", "PostgreSQL", "SQLite"}


class OdbcOrigin(canonical.ByValues):
    """Use as a context manager."""

    floats = "bits"
    maps_as = "odbc"

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the address cannot be understood.
        """
        self._address = read_address(url)
        self.place = self._address.place
        self._stops = Stops()
        self._session: Session | None = None
        self._hashed: Callable[[str], str] | None = None
        self._found: Found | None = None
        self._of_tables: dict[Name, tuple[str, ...]] = {}  # notices
        self._reading_catalog = Lock()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._found = None

    @property
    def _held(self) -> Session:
        if self._session is None:
            raise SnapshotLost(f"{self.place}: the session is closed", side=SIDE)
        return self._session

    @property
    def dialect(self) -> str:
        return DIALECTS.get(self._held.server, "")

    @property
    def schema(self) -> str:
        """The schema for tables: those of a database without schemas go into `public`."""
        return "" if self._catalog().has_schemas else "public"

    @property
    def server(self) -> Server:
        session = self._held
        numbers = [int(one) for one in re.findall(r"\d+", session.version)][:3]
        padded = [*numbers, 0, 0, 0]
        place = sha256(f"{self.place}/{session.server}/{session.database}".encode()).hexdigest()
        return Server(
            place=self.place,
            database=session.database or "data",
            user=session.user,
            version=padded[0] * 10_000 + padded[1] * 100,
            version_text=session.version,
            encoding="UTF8",
            identity=f"odbc/{place[:20]}",
            engine=session.server,
        )

    def hold(self, number: int = 1) -> Snapshot:
        self._session = Session(self._address, self._stops)
        self._session.hashed = self._hashed
        return Snapshot(number, uuid4().hex, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "")

    def hash_with(self, hashed: Callable[[str], str], pads: tuple[bytes, bytes]) -> None:
        self._hashed = hashed

    def notices(self) -> Sequence[str]:
        session = self._held
        level = f" ({session.isolation})" if session.isolation else ""
        doubt = (
            ""
            if session.server in _ONE_MOMENT
            else (": whether that is one moment, and whom it makes wait, depends on the database")
        )
        found = [
            f"one session reads everything in one transaction{level}{doubt}",
            "ODBC does not tell checks, triggers, computed columns, routines, or which columns"
            " count up by themselves: they are not migrated",
        ]
        if own := _OWN.get(session.server):
            found.append(f"{session.server} has its own kind of source: {own} migrates more of it")
        return [*found, *(one for _, some in sorted(self._of_tables.items()) for one in some)]

    def check(self) -> None:
        """Raises:
        SnapshotLost: the session is gone.
        """
        if self._held.is_lost:
            raise SnapshotLost(f"{self.place}: the session is gone", side=SIDE)

    def schemas(self, types: Mapping[str, str] | None = None) -> SourceSchema:
        return self._catalog().schema

    def _catalog(self) -> Found:
        with self._reading_catalog:
            if self._found is None:
                self._found = read_catalog(self._held)
            return self._found

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        found = fit_table(self._held, table, self._catalog(), answers)
        with self._reading_catalog:
            self._of_tables[table.name] = found.notices
        return found.fit

    def cut(self, table: SourceTable, count: int) -> Sequence[Range]:
        return rows.cut(self._held, self._catalog(), table, count)

    def can_hash(self, reading: Reading) -> bool:
        """Whether no column is a float, whose text is not what is hashed."""
        return can_hash_without_floats(reading.fields)

    def values(self, reading: Reading, range_: Range) -> Iterator[canonical.Values]:
        return rows.read_values(self._held, self._catalog(), reading, range_)

    def cancel(self) -> None:
        self._stops.cancel()

    def resume(self) -> None:
        self._stops.resume()
