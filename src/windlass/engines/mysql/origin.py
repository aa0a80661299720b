"""MySQL and MariaDB as the source of a migration into another engine: read-only sessions of this
process in one snapshot.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from threading import Lock

from windlass.engines.hashed_lines import can_hash
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.catalog import Found, read_names, read_schema
from windlass.engines.mysql.cutting import cut_table
from windlass.engines.mysql.fitting import fit_table
from windlass.engines.mysql.reading import (
    read_buckets,
    read_digest,
    read_lines,
    read_rows,
)
from windlass.engines.mysql.session import Session
from windlass.engines.mysql.sessions import SESSIONS, Sessions
from windlass.engines.origin import Closing
from windlass.engines.stopping import Stops
from windlass.model.chunk import Range
from windlass.model.plan import Server
from windlass.model.snapshot import Snapshot
from windlass.model.translation import (
    Answers,
    Digest,
    Fit,
    Reading,
    Row,
    Sort,
    SourceSchema,
    SourceTable,
)


class MysqlOrigin(Closing):
    """Use as a context manager; see `windlass.engines.origin.Origin`."""

    dialect = "mysql"
    floats = "digits"
    maps_as = "mysql"

    def __init__(self, url: str, sessions: int = SESSIONS) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL cannot be understood.
        """
        self._address = read_address(url)
        self.place = self._address.place
        self.schema = self._address.database
        self._stops, self._most = Stops(), sessions
        self._sessions = Sessions(self._address, self._stops, sessions)
        self._reading_catalog = Lock()

    def close(self) -> None:
        self._sessions.close()
        for known in ("_catalog", "server"):  # of the snapshot
            self.__dict__.pop(known, None)

    def hold(self, number: int = 1) -> Snapshot:
        first = Session(self._address)
        try:
            tables = read_names(first)
        finally:
            first.close()
        return Snapshot(number, secrets.token_hex(8), self._sessions.begin(tables), "")

    @cached_property
    def server(self) -> Server:
        with self._sessions.one() as session:
            user, charset, port, name = (
                (one or b"").decode()
                for one in session.one(
                    "select current_user(), @@character_set_database, @@port, @@hostname"
                )
            )
            numbers = (*session.version, 0, 0)[:3]
            engine = "MariaDB" if session.is_mariadb else "MySQL"
            return Server(
                place=self.place,
                database=self._address.database,
                user=user.rpartition("@")[0],
                version=numbers[0] * 10000 + numbers[1] * 100 + numbers[2],
                version_text=session.version_text,
                encoding=charset,
                identity=f"mysql:{name}:{port}/{self._address.database}",
                engine=engine,
            )

    def hash_with(self, hashed: Callable[[str], str], pads: tuple[bytes, bytes]) -> None:
        self._address = replace(self._address, pads=pads)
        self._sessions = Sessions(self._address, self._stops, self._most)

    def notices(self) -> Sequence[str]:
        """Empty before the snapshot is held."""
        if not self._sessions.count:
            return []
        found = []
        if why := self._sessions.why_one:
            found.append(f"one session reads everything, as {why}: it takes longer")
        if self._found.unsafe:
            listed = ", ".join(f"{name.name} ({engine})" for name, engine in self._found.unsafe)
            found.append(f"others can change these tables while they are read: {listed}")
        if self._found.unseen:
            found.append(
                f"not looked for, as the user lacks the right to see them:"
                f" {', '.join(self._found.unseen)}"
            )
        found.append(
            "ALTER, DROP and TRUNCATE of its tables wait until everything has been"
            " read, and what uses them waits behind"
        )
        return found

    def check(self) -> None:
        self._sessions.check()

    def schemas(self, types: Mapping[str, str] | None = None) -> SourceSchema:
        return self._found.schema

    @property
    def _found(self) -> Found:
        with self._reading_catalog:
            return self._catalog

    @cached_property
    def _catalog(self) -> Found:
        with self._sessions.one() as session:
            return read_schema(session)

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        schema = self.schemas()
        with self._sessions.one() as session:
            return fit_table(session, table, schema, answers)

    def cut(self, table: SourceTable, count: int) -> Sequence[Range]:
        with self._sessions.one() as session:
            return cut_table(session, table, count)

    def can_hash(self, reading: Reading) -> bool:
        return can_hash(reading.fields) and all(
            one.type.sort is not Sort.FLOAT for one in reading.fields
        )

    def lines(self, reading: Reading, range_: Range) -> Iterator[bytes]:
        with self._sessions.one() as session:
            yield from read_lines(session, reading, range_)

    def digest(self, reading: Reading, range_: Range) -> Digest:
        with self._sessions.one() as session:
            return read_digest(session, reading, range_)

    def buckets(self, reading: Reading) -> Mapping[int, Digest]:
        with self._sessions.one() as session:
            return read_buckets(session, reading)

    def rows(self, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
        with self._sessions.one() as session:
            yield from read_rows(session, reading, buckets)

    def cancel(self) -> None:
        self._stops.cancel()

    def resume(self) -> None:
        self._stops.resume()
