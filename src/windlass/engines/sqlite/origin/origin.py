"""SQLite as the source of a migration into another engine: read-only sessions of this process in
one snapshot. See `windlass.engines.origin.Origin`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from os import cpu_count
from uuid import uuid4

from windlass.engines.hashed_lines import can_hash
from windlass.engines.origin import Closing
from windlass.engines.paths import check_file, identity_of
from windlass.engines.sqlite.catalog import SCHEMA
from windlass.engines.sqlite.origin import digests, ranges
from windlass.engines.sqlite.origin.catalog import read_schema
from windlass.engines.sqlite.origin.choosing import BIGINT
from windlass.engines.sqlite.origin.fitting import fit_table
from windlass.engines.sqlite.origin.functions import add_functions, add_hash
from windlass.engines.sqlite.origin.lines import read_lines
from windlass.engines.sqlite.origin.seen import Seen, unseen
from windlass.engines.sqlite.session import File
from windlass.engines.sqlite.sessions import Sessions
from windlass.engines.stopping import Stops
from windlass.errors import SnapshotLost, WindlassError
from windlass.model.chunk import Range
from windlass.model.plan import Server
from windlass.model.snapshot import Snapshot
from windlass.model.translation import (
    Answers,
    Digest,
    Field,
    Fit,
    Reading,
    Row,
    SourceSchema,
    SourceTable,
)


class _File(File):
    """Its sessions have our functions."""

    hashed: Callable[[str], str] | None = None  # with a secret key

    def connect(self, busy_seconds: float = 10.0) -> sqlite3.Connection:
        session = super().connect(busy_seconds)
        add_functions(session)
        if self.hashed is not None:
            add_hash(session, self.hashed)
        return session


class SqliteOrigin(Closing):
    """In WAL mode others can write unnoticed; otherwise their commits wait."""

    dialect = "sqlite"
    schema = "public"
    floats = "bits"
    maps_as = "sqlite"

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        self._file = _File(url)
        self.place = self._file.place
        self._stops = Stops()
        self._sessions = Sessions(self._file, self._stops)
        self._is_held = False
        self._seen: dict[str, Seen] = {}  # by table, in this snapshot

    def close(self) -> None:
        self._sessions.close()
        self._is_held = False

    @property
    def server(self) -> Server:
        return Server(
            place=self._file.path,
            database=SCHEMA,
            user="",
            version=0,
            version_text=sqlite3.sqlite_version,
            encoding="UTF8",
            identity=identity_of("sqlite", self._file.path),
            engine="SQLite",
        )

    def hold(self, number: int = 1) -> Snapshot:
        check_file(self.place, self._file.path, "sqlite")
        self._file.check_immutable()
        with self._file.explaining("opening it"):
            self._sessions = Sessions(self._file, self._stops)
            self._sessions.begin()
            with self._sessions.one() as session:
                (encoding,) = session.execute("pragma encoding").fetchone()
        if encoding != b"UTF-8":
            self.close()
            raise WindlassError(
                f"{self.place} keeps texts in {encoding.decode()}, which is not read",
                hint="make a file in UTF-8 of it: sqlite3 old.db .dump | sqlite3 new.db",
                side="source",
            )
        self._seen, self._is_held = {}, True
        return Snapshot(number, uuid4().hex, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "")

    def hash_with(self, hashed: Callable[[str], str], pads: tuple[bytes, bytes]) -> None:
        self._file.hashed = hashed

    def notices(self) -> Sequence[str]:
        found = []
        if self._sessions.blocks_writers:
            found.append(
                f"{self.place} is not in WAL mode: programs that write to it wait until it has"
                " been read"
            )
        if self._sessions.count == 1:
            found.append(f"{self.place} is written to all the time: it is read by one session")
        if self._is_held:
            with self._reading("its header") as session:
                for setting in ("user_version", "application_id"):
                    (value,) = session.execute(f"pragma {setting}").fetchone()
                    if value:
                        message = f"{setting} = {value} of the file is not carried over"
                        found.append(f"{message}, as PostgreSQL has nothing like it")
        return found

    def check(self) -> None:
        """Nothing to check: the sessions exist as long as the process. See
        `windlass.engines.origin.Origin`."""
        if not self._is_held:
            raise SnapshotLost(f"the snapshot of {self.place} is gone", side="source")

    def schemas(self, types: Mapping[str, str] | None = None) -> SourceSchema:
        with self._reading("its catalog") as session:
            return read_schema(session)

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        with (
            self._file.explaining(f"reading {table.name}"),
            self._sessions.some(cpu_count() or 1) as sessions,
        ):
            found = fit_table(sessions, table, answers)
        self._seen[table.name.name] = found.seen
        return found.fit

    def cut(self, table: SourceTable, count: int) -> Sequence[Range]:
        with self._reading(str(table.name)) as session:
            order = ranges.read_order(session, table.name.name, table.selected)
            return ranges.cut(session, order, count)

    def can_hash(self, reading: Reading) -> bool:
        names = {one.name for one in reading.fields}
        return can_hash(reading.fields) and self._seen_of(reading).fractional.isdisjoint(names)

    def ordered_by(self, reading: Reading) -> str:
        columns = {one.name for one in reading.fields}
        if reading.selected is not None or not self._seen_of(reading).special.isdisjoint(columns):
            return ""  # a text that COPY escapes is hashed with its line
        with self._reading(str(reading.table)) as session:
            number = ranges.read_order(session, reading.table.name).number
        return number if Field(number, BIGINT) in reading.fields else ""

    def lines(self, reading: Reading, range_: Range) -> Iterator[bytes]:
        with self._reading(str(reading.table)) as session:
            order = ranges.read_order(session, reading.table.name, reading.selected)
            yield from read_lines(session, order, range_, reading, self._seen_of(reading))

    def digest(self, reading: Reading, range_: Range) -> Digest:
        with self._reading(str(reading.table)) as session:
            order = ranges.read_order(session, reading.table.name, reading.selected)
            seen = self._seen_of(reading)
            return digests.digest(session, order, range_, reading.fields, seen)

    def buckets(self, reading: Reading) -> Mapping[int, Digest]:
        with self._reading(str(reading.table)) as session:
            order = ranges.read_order(session, reading.table.name, reading.selected)
            key, seen = _key(reading), self._seen_of(reading)
            return digests.buckets(session, order, reading.fields, key, seen)

    def rows(self, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
        with self._reading(str(reading.table)) as session:
            order = ranges.read_order(session, reading.table.name, reading.selected)
            key = _key(reading)
            yield from digests.rows_of(session, order, reading.fields, key, buckets)

    def know(self, table: str, seen: Seen) -> None:
        """What the table's definition shows about its values, if no scan has examined them."""
        self._seen[table] = seen

    def _seen_of(self, reading: Reading) -> Seen:
        return self._seen.get(reading.table.name) or unseen(one.name for one in reading.fields)

    def cancel(self) -> None:
        self._stops.cancel()

    def resume(self) -> None:
        self._stops.resume()

    @contextmanager
    def _reading(self, what: str) -> Iterator[sqlite3.Connection]:
        with self._file.explaining(f"reading {what}"), self._sessions.one() as session:
            yield session


def _key(reading: Reading) -> list[Field]:
    by_name = {field.name: field for field in reading.fields}
    return [by_name[name] for name in reading.key]
