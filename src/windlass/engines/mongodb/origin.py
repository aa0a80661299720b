"""MongoDB as the source of a migration into another engine: `windlass.engines.origin.Origin`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

from windlass.engines import canonical
from windlass.engines.mongodb import cutting
from windlass.engines.mongodb.address import read_address
from windlass.engines.mongodb.catalog import Found, read_catalog
from windlass.engines.mongodb.elements import Unfit
from windlass.engines.mongodb.errors import SIDE
from windlass.engines.mongodb.fitting import fit_table
from windlass.engines.mongodb.selecting import filter_of, reader_of
from windlass.engines.mongodb.session import Session
from windlass.engines.mongodb.values import Misfit
from windlass.engines.stopping import Stops
from windlass.errors import SnapshotLost, WindlassError
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.plan import Server
from windlass.model.snapshot import Snapshot
from windlass.model.translation import (
    Answers,
    Fit,
    Reading,
    SourceSchema,
    SourceTable,
)


class MongoOrigin(canonical.ByValues):
    """Use as a context manager."""

    dialect = ""  # it has no SQL
    floats = "bits"
    maps_as = "mongodb"

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL cannot be understood.
        """
        self._address = read_address(url)
        self.place = self._address.place
        self.schema = self._address.database
        self._stops = Stops()
        self._session: Session | None = None
        self._hashed: Callable[[str], str] | None = None  # with a secret key
        self._found: Found | None = None
        self._notices: dict[str, str] = {}  # by collection
        self._noticing = Lock()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._found = None

    @property
    def _held(self) -> Session:
        if self._session is None:
            raise SnapshotLost(f"the connection with {self.place} is closed", side=SIDE)
        return self._session

    @property
    def server(self) -> Server:
        info, address = self._held.info, self._address
        numbers = [*map(int, info.get("versionArray", ())), 0, 0, 0][:3]
        return Server(
            place=self.place,
            database=address.database,
            user=address.user,
            version=numbers[0] * 10_000 + numbers[1] * 100 + numbers[2],
            version_text=str(info.get("version", "")),
            encoding="UTF8",
            identity=f"mongodb:{','.join(self._held.hosts)}/{address.database}",
            engine="MongoDB",
        )

    def hold(self, number: int = 1) -> Snapshot:
        self._session, self._notices = Session(self._address, self._stops), {}
        id_ = self._session.id or "none"
        return Snapshot(number, f"{id_}-{secrets.token_hex(4)}", self._session.taken_at, "")

    def hash_with(self, hashed: Callable[[str], str], pads: tuple[bytes, bytes]) -> None:
        self._hashed = hashed

    def notices(self) -> Sequence[str]:
        found = []
        session = self._held
        if session.why_none:
            found.append(
                f"{self.place} is not read as of one moment, as {session.why_none}: what others"
                " write while it is read may be missing, or differ when it is compared"
            )
        else:
            found.append(
                "everything is read as of one moment, which the server forgets after"
                " minSnapshotHistoryWindowInSeconds: five minutes, unless that is raised"
            )
        if unsafe := sorted(self._found.unsafe if self._found else ()):
            found.append(f"others can change these while they are read: {', '.join(unsafe)}")
        return [*found, *(one for _, one in sorted(self._notices.items()) if one)]

    def check(self) -> None:
        """Check the snapshot: any session can read in it, until the server forgets it."""
        try:
            self._held.check()
        except WindlassError as error:
            raise SnapshotLost(str(error), hint=error.hint, side=SIDE) from error

    def schemas(self, types: Mapping[str, str] | None = None) -> SourceSchema:
        self._found = read_catalog(self._held, types or {})
        return self._found.schema

    def _catalog(self) -> Found:
        if self._found is None:
            self._found = read_catalog(self._held, {})
        return self._found

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        found = fit_table(self._held, table, self._catalog(), answers, self._hashed)
        with self._noticing:
            self._notices[table.name.name] = found.notice
        return found.fit

    def cut(self, table: SourceTable, count: int) -> Sequence[Range]:
        return cutting.cut(self._held, table.name.name, count) if table.pages_by else [Whole()]

    def can_hash(self, reading: Reading) -> bool:
        """Whether no column holds documents, whose text differs from the one that is hashed."""
        return False

    def values(self, reading: Reading, range_: Range) -> Iterator[canonical.Values]:
        readers = [reader_of(one, reading.selected, self._hashed) for one in reading.fields]
        name = reading.table.name
        low, high = (
            (cutting.bound(range_.low), cutting.bound(range_.high))
            if isinstance(range_, KeyRange)
            else (None, None)
        )
        in_snapshot = name not in self._catalog().unsafe
        where = filter_of(reading.selected)
        for data in self._held.documents(name, low, high, in_snapshot=in_snapshot, where=where):
            yield self._texts(readers, data, reading)

    def _texts(
        self, readers: Sequence[Callable[[bytes], str | None]], data: bytes, reading: Reading
    ) -> canonical.Values:
        try:
            return [read(data) for read in readers]
        except (Misfit, Unfit) as error:
            raise WindlassError(
                f"{reading.table}: a document was written that the plan's columns cannot hold",
                hint="roll the run back, and migrate again",
                side=SIDE,
            ) from error

    def cancel(self) -> None:
        self._stops.cancel()

    def resume(self) -> None:
        self._stops.resume()
