"""DuckDB as the source of a migration into another engine: `windlass.engines.origin.Origin`. While
the file is open here, nobody can write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import duckdb
from psycopg import sql

from windlass.engines import scratch
from windlass.engines.duckdb.memory import Growing
from windlass.engines.duckdb.opening import file_of, open_to_read
from windlass.engines.duckdb.origin import reading as rows
from windlass.engines.duckdb.origin.catalog import Found, read_catalog
from windlass.engines.duckdb.origin.fitting import fit_table
from windlass.engines.duckdb.session import explaining, has_too_little_memory
from windlass.engines.hashed_lines import can_hash_without_floats
from windlass.engines.origin import Closing
from windlass.engines.paths import identity_of
from windlass.engines.statements import names, statement
from windlass.engines.stopping import Stops
from windlass.errors import SnapshotLost, WindlassError
from windlass.model.chunk import Range
from windlass.model.plan import Server
from windlass.model.snapshot import Snapshot
from windlass.model.translation import (
    Answers,
    Digest,
    Fit,
    Reading,
    Row,
    SourceSchema,
    SourceTable,
)

T = TypeVar("T")

_MAIN = "main"


class DuckDbOrigin(Closing):
    """Use as a context manager."""

    dialect = "duckdb"
    floats = "bits"
    maps_as = "duckdb"

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        self._path = file_of(url)
        self.place = f"DuckDB {self._path}"
        self._stops, self._memory = Stops(), Growing()
        self._database: Any = None
        self._pads: tuple[bytes, bytes] | None = None
        self._found: Found | None = None
        self._reading_catalog = Lock()

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            scratch.let_go()
        self._database = self._found = None

    @property
    def schema(self) -> str:
        """The schema for tables: the only schema of a file becomes `public`; several schemas keep
        their names."""
        names = {one.name.schema for one in self.schemas().tables}
        return "public" if names <= {_MAIN} else ""

    @property
    def server(self) -> Server:
        return Server(
            place=self._path,
            database=_MAIN,
            user="",
            version=0,
            version_text=duckdb.__version__,
            encoding="UTF8",
            identity=identity_of("duckdb", self._path),
            engine="DuckDB",
        )

    def hold(self, number: int = 1) -> Snapshot:
        self._database = open_to_read(self.place, self._path)
        return Snapshot(number, uuid4().hex, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "")

    def hash_with(self, hashed: Callable[[str], str], pads: tuple[bytes, bytes]) -> None:
        self._pads = pads

    def notices(self) -> Sequence[str]:
        return [f"{self.place} is open until it has been read: other processes cannot write to it"]

    def check(self) -> None:
        """Nothing to check: the snapshot exists as long as the process. See
        `windlass.engines.origin.Origin`."""
        if self._database is None:
            raise SnapshotLost(f"{self.place} is closed", side="source")

    def schemas(self, types: Mapping[str, str] | None = None) -> SourceSchema:
        return self._catalog().schema

    def _catalog(self) -> Found:
        with self._reading_catalog:
            if self._found is None:
                with self._asking("reading what it holds") as session:
                    self._found = read_catalog(session)
            return self._found

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        losses = self._catalog().losses.get(table.name, ())
        found = self._called(
            f"reading {table.name}", lambda session: fit_table(session, table, answers)
        )
        return replace(found, losses=(*losses, *found.losses))

    def cut(self, table: SourceTable, count: int) -> Sequence[Range]:
        with self._asking(f"reading {table.name}") as session:
            return rows.cut(session, table, count)

    def can_hash(self, reading: Reading) -> bool:
        """Whether no column is a float, whose text is not what is hashed."""
        return can_hash_without_floats(reading.fields)

    def lines(self, reading: Reading, range_: Range) -> Iterator[bytes]:
        has_sent = False
        while True:
            try:
                with self._asking(f"reading {reading.table}") as session:
                    for block in rows.read_lines(session, reading, range_):
                        has_sent = True
                        yield block
                return
            except WindlassError as error:
                if not self._has_more(error) or has_sent:
                    raise

    def digest(self, reading: Reading, range_: Range) -> Digest:
        return self._called(
            f"hashing {reading.table}", lambda one: rows.read_digest(one, reading, range_)
        )

    def buckets(self, reading: Reading) -> Mapping[int, Digest]:
        return self._called(f"hashing {reading.table}", lambda one: rows.read_buckets(one, reading))

    def rows(self, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
        with self._asking(f"comparing {reading.table}") as session:
            yield from rows.read_rows(session, reading, buckets)

    def cancel(self) -> None:
        self._stops.cancel()

    def resume(self) -> None:
        self._stops.resume()

    def _called(self, doing: str, call: Callable[[Any], T]) -> T:
        """The result of the call, which is repeated if DuckDB had too little memory."""
        while True:
            try:
                with self._asking(doing) as session:
                    return call(session)
            except WindlassError as error:
                if not self._has_more(error):
                    raise

    def _has_more(self, error: WindlassError) -> bool:
        """Whether a call failed for lack of memory, and there is more now."""
        if not has_too_little_memory(error.__cause__):
            return False
        with self._database.cursor() as session:
            return self._memory.more(session)

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Any]:
        self.check()
        with (
            explaining(self.place, doing, self._stops),
            self._database.cursor() as session,
            self._stops.during(session.interrupt),
        ):
            session.execute("set timezone = 'UTC'")
            if self._pads:
                self._set_key(session, self._pads)
            yield session

    @staticmethod
    def _set_key(session: Any, pads: tuple[bytes, bytes]) -> None:
        """The session's alone, for `mask: hash`; no error shows it, as setting it cannot fail."""
        for name, pad in zip(("windlass_inner", "windlass_outer"), pads, strict=True):
            text = "set variable {name} = unhex({pad})"
            session.execute(statement(text, name=names(name), pad=sql.Literal(pad.hex())))
