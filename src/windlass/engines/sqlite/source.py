"""SQLite as the source of an export: read-only sessions of this process in one snapshot.

In WAL mode others can write without being seen; otherwise their commits wait. No other process can
read in the same snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Self
from urllib.parse import quote

from windlass.engines.base import Facts, no_watermark
from windlass.engines.paths import check_file, identity_of
from windlass.engines.sqlite.catalog import read_relations
from windlass.engines.sqlite.describing import Known, describe
from windlass.engines.sqlite.facts import FACTS
from windlass.engines.sqlite.identifiers import strictly_named
from windlass.engines.sqlite.reading import SqliteRows, mark_text, mark_value
from windlass.engines.sqlite.session import File
from windlass.engines.sqlite.sessions import Sessions
from windlass.engines.statements import from_item, names, statement, verbatim
from windlass.engines.stopping import Stops
from windlass.errors import WindlassError
from windlass.model.export import Described, Export, Piece, Readable, Request, Span
from windlass.model.relation import Name
from windlass.model.snapshot import Snapshot


class SqliteSource:
    """Use as a context manager; see `windlass.engines.base.Source`."""

    facts = FACTS

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        self._file = File(url)
        self.place = self._file.place
        self._stops = Stops()
        self._sessions = Sessions(self._file, self._stops)
        self._known: dict[str, Known] = {}  # by export

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._sessions.close()

    @property
    def identity(self) -> str:
        return identity_of("sqlite", self._file.path)

    def assets(self, export: Export) -> list[dict[str, str]]:
        if not export.relation:
            return []
        name = Name.read(export.relation)
        return [{"uri": f"sqlite:///{quote(str(self._file.path).lstrip('/'))}"
                        f"/{quote(name.schema)}/{quote(name.name)}"}]  # fmt: skip

    def hold(self, number: int = 1, *, overlaps: Sequence[float | None] = ()) -> Snapshot:
        check_file(self.place, self._file.path, "sqlite")
        self._file.check_immutable()
        with self._file.explaining("opening it"):
            self._sessions.begin()
        return Snapshot(number, "", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "")

    def notices(self) -> Sequence[str]:
        if not self._sessions.blocks_writers:
            return []
        return [
            f"{self.place} is not in WAL mode: programs that write to it wait until it has been"
            " read"
        ]

    @property
    def alive(self) -> bool:
        return True

    def join(self, snapshot: Snapshot) -> None:
        raise WindlassError(
            "another process cannot read in a snapshot of SQLite",
            hint="run the export in one process: windlass export",
            side="source",
        )

    def keep(self, exports: Collection[Export]) -> None:
        """Nothing to do: a dropped table stays in the snapshot."""

    def cancel(self) -> None:
        self._stops.cancel()

    def relations(self) -> Sequence[Readable]:
        return self._relations

    @cached_property
    def _relations(self) -> Sequence[Readable]:
        with self._file.explaining("reading what it holds"), self._sessions.one() as session:
            return read_relations(session)

    def item(self, request: Request) -> str:
        query, where = strictly_named(request.query), strictly_named(request.where)
        return from_item(replace(request, query=query, where=where))

    def pieces(self, export: Export) -> Sequence[Piece]:
        return ()

    def describe(self, request: Request) -> Described:
        """Reads every value."""
        with self._file.explaining(f"reading {request.name}"), self._sessions.one() as session:
            described, self._known[request.name] = describe(session, self.item(request), request)
        return described

    def span(self, export: Export, last: str) -> Span:
        """In SQLite's own order. A time is text or a number to SQLite, so there is nothing to
        subtract an overlap from."""
        if export.span.overlap_seconds:
            raise WindlassError(
                f"{export.name}: overlap-seconds: SQLite has no type for times",
                hint="leave overlap-seconds out",
                side="source",
            )
        mark, item = names(export.watermark), verbatim(export.query)
        infinite = verbatim("(9e999, -9e999)")
        query = statement(
            "select max({mark}) from {item} where {mark} not in {infinite}",
            mark=mark,
            item=item,
            infinite=infinite,
        )
        with self._file.explaining(f"reading {export.name}"), self._sessions.one() as session:
            (highest,) = session.execute(query).fetchone()
            without = statement(
                "select 1 from {item} where {mark} is null or {mark} in {infinite}",
                mark=mark,
                item=item,
                infinite=infinite,
            )
            if export.span.once and session.execute(without).fetchone():
                raise no_watermark(export)
        upto = last if highest is None else mark_text(highest)
        since = _lower(last, export.span.overlap) if last else ""
        return replace(export.span, since=since, upto=upto)

    @contextmanager
    def reading(
        self, export: Export, target: Facts, run: str, share: int = 1
    ) -> Iterator[SqliteRows]:
        with self._sessions.one() as session:
            known = self._known[export.name]
            yield SqliteRows(self._file, session, export, known, self._stops)


def _lower(last: str, overlap: int) -> str:
    value = mark_value(last)
    return last if isinstance(value, str) else mark_text(value - overlap)
