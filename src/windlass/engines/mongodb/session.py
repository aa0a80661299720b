"""The connection to a MongoDB server. The driver keeps a pool of sessions for all threads.

All reads are in one snapshot: each names the same time of the cluster. On a server without
snapshots, each reads the present state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from windlass.engines.mongodb.address import Address
from windlass.engines.mongodb.elements import documents
from windlass.engines.mongodb.errors import BAD_OPTIONS, NO_SNAPSHOT, SIDE, code_of, explaining
from windlass.engines.stopping import Stops
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from bson.timestamp import Timestamp
    from pymongo import MongoClient
    from pymongo.collection import Collection
    from pymongo.read_concern import ReadConcern

SELECTION_MILLIS = 10_000  # time to find a server, unless the URL gives one
BATCH_ROWS = 10_000  # at most; the server sends at most 16 MB at once
ID_INDEX = "_id_"
_SNAPSHOT = "snapshot"


class Session:
    """Made connected; `close` it."""

    def __init__(self, address: Address, stops: Stops) -> None:
        """Raises:
        WindlassError: it cannot connect; `retryable` where trying again can help.
        """
        self.address, self._stops = address, stops
        self.taken_at = ""
        self.time: Timestamp | None = None  # of the snapshot; None: there is none
        self.why_none = ""  # for people
        with self.explaining("connecting"):
            self.client = _client(address)
        try:
            with self.explaining("connecting"):
                self.client.admin.command("ping")
                self.info: Mapping[str, Any] = self.client.admin.command("buildInfo")
                members = self.client.admin.command("hello").get("hosts", [])
                self.hosts: Sequence[str] = sorted(members) or [address.place]
                self._begin()
        except BaseException:
            self.close()
            raise

    def explaining(self, doing: str) -> Any:
        return explaining(doing, self.address.place)

    def _begin(self) -> None:
        from pymongo.errors import OperationFailure

        self.taken_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        if not self.address.wants_snapshot:
            self.why_none = "?snapshot=false was given"
            return
        names = {"find": "windlass", "limit": 1, "singleBatch": True}
        concern = {"level": _SNAPSHOT}
        try:
            found = self.client[self.address.database].command({**names, "readConcern": concern})
        except OperationFailure as error:
            if code_of(error) not in (NO_SNAPSHOT, BAD_OPTIONS):
                raise
            self.why_none = "the server is no replica set"
            return
        self.time = found["cursor"].get("atClusterTime")
        if self.time is None:
            self.why_none = "the server gives no time for it"

    def check(self) -> None:
        """Raises:
        SnapshotLost: the server has forgotten the snapshot.
        """
        if self.time is not None:
            with self.explaining("looking whether the snapshot is still there"):
                self.collection("windlass").find_one({}, {"_id": 1})

    @property
    def id(self) -> str:
        return f"{self.time.time}.{self.time.inc}" if self.time else ""

    def collection(self, name: str, *, in_snapshot: bool = True) -> Collection[Any]:
        concern = _at(self.time) if in_snapshot and self.time else None
        return self.client[self.address.database].get_collection(name, read_concern=concern)

    def can_snapshot(self, name: str) -> bool:
        """Whether a collection can be read in a snapshot: not every version can do that for every
        kind."""
        from pymongo.errors import OperationFailure

        if self.time is None:
            return True
        try:
            with self.explaining(f"reading {name}"):
                self.collection(name).find_one({}, {"_id": 1})
        except WindlassError as error:
            cause = error.__cause__
            if isinstance(cause, OperationFailure) and code_of(cause) in (NO_SNAPSHOT, BAD_OPTIONS):
                return False
            raise
        return True

    def documents(
        self,
        name: str,
        low: Any = None,
        high: Any = None,
        *,
        in_snapshot: bool = True,
        where: Mapping[str, Any] | None = None,
    ) -> Iterator[bytes]:
        """All documents that meet a condition, and whose `_id` is in a half-open range, in the
        order of the index on `_id`. None means no bound; without both bounds, every document, in
        any order. A bound is a tuple of one value, because the value may be null.

        Raises:
            Interrupted: it was cancelled.
        """
        with self._stops.during(_nothing), self.explaining(f"reading {name}"):
            found = self.collection(name, in_snapshot=in_snapshot).find_raw_batches(
                where or {}, batch_size=BATCH_ROWS
            )
            if low or high:
                found = found.hint(ID_INDEX)
            if low:
                found = found.min([("_id", low[0])])
            if high:
                found = found.max([("_id", high[0])])
            with closing(found):
                for batch in found:
                    if self._stops.cancelled:
                        raise interrupted()
                    yield from documents(batch)

    def sample(self, name: str, size: int) -> Sequence[Any]:
        """Values of `_id` of some documents, in the index's order."""
        from bson.codec_options import CodecOptions, DatetimeConversion

        steps = [{"$sample": {"size": size}}, {"$project": {"_id": 1}}, {"$sort": {"_id": 1}}]
        exact: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
        with self._stops.during(_nothing), self.explaining(f"sampling {name}"):
            read = self.collection(name).with_options(codec_options=exact)
            return [one["_id"] for one in read.aggregate(steps, allowDiskUse=True)]

    def close(self) -> None:
        if client := getattr(self, "client", None):
            client.close()


def interrupted() -> WindlassError:
    from windlass.errors import Interrupted

    return Interrupted("stopped on request")


def _nothing() -> None:
    """Does nothing: a read stops between two batches."""


def _client(address: Address) -> MongoClient[Any]:
    import warnings

    from pymongo import MongoClient
    from pymongo.errors import InvalidURI

    given: dict[str, Any] = {}
    if "serverselectiontimeoutms" not in address.url.lower():
        given["serverSelectionTimeoutMS"] = SELECTION_MILLIS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of options that the driver does not know
            return MongoClient(address.url, appname="windlass", **given)
    except (ValueError, TypeError, UserWarning, InvalidURI):
        raise WindlassError(
            f"{address.place}: the driver takes neither this address nor its options",
            hint="write it as mongodb://user:password@host:port/database?option=value",
            side=SIDE,
        ) from None


def _at(time: Timestamp) -> ReadConcern:
    """The concern by which every session reads at the same time of the cluster."""
    from pymongo.read_concern import ReadConcern

    class At(ReadConcern):
        @property
        def document(self) -> dict[str, Any]:
            return {"level": _SNAPSHOT, "atClusterTime": time}

    return At(_SNAPSHOT)
