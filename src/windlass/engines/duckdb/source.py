"""DuckDB as the source of an export. While the file is open here, nobody can write to it, so all
sessions see the same rows, including those of other processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Self

from windlass.engines import scratch
from windlass.engines.base import Facts, no_watermark
from windlass.engines.duckdb.facts import FACTS
from windlass.engines.duckdb.memory import Growing
from windlass.engines.duckdb.opening import file_of, open_to_read
from windlass.engines.duckdb.reading import DuckDbRows
from windlass.engines.duckdb.session import explaining
from windlass.engines.duckdb.types import column_of
from windlass.engines.paths import identity_of
from windlass.engines.statements import from_item, names, statement, verbatim
from windlass.engines.stopping import Stops
from windlass.errors import SnapshotLost
from windlass.model.export import (
    FLOATS,
    STAMPS,
    Column,
    Described,
    Export,
    Kind,
    Piece,
    Readable,
    Request,
    Span,
)
from windlass.model.relation import Name
from windlass.model.snapshot import Snapshot

_NOW = {
    Kind.DATE: "current_date",
    Kind.TIMESTAMP: "cast(current_timestamp as timestamp)",
    Kind.INSTANT: "current_timestamp",
}


class DuckDbSource:
    """Use as a context manager; see `windlass.engines.base.Source`."""

    facts = FACTS

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        self._path = file_of(url)
        self.place = f"DuckDB {self._path}"
        self._stops, self._memory = Stops(), Growing()
        self._database: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._database is not None:
            self._database.close()
            scratch.let_go()

    @property
    def identity(self) -> str:
        return identity_of("duckdb", self._path)

    # the snapshot

    def hold(self, number: int = 1, *, overlaps: Sequence[float | None] = ()) -> Snapshot:
        self._open()
        return Snapshot(number, self._state(), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "")

    def _open(self) -> None:
        self._database = open_to_read(self.place, self._path)

    def _state(self) -> str:
        """A fingerprint of the file that changes when somebody writes to it."""
        found = Path(self._path).stat()
        return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"

    def join(self, snapshot: Snapshot) -> None:
        self._open()
        if self._state() != snapshot.id:
            raise SnapshotLost(f"{self.place} has been written to", side="source")

    def notices(self) -> Sequence[str]:
        return []

    @property
    def alive(self) -> bool:
        return True

    def keep(self, exports: Collection[Export]) -> None:
        """Nothing to do: nobody can change a file that is open here."""

    def cancel(self) -> None:
        self._stops.cancel()

    @contextmanager
    def _session(self) -> Iterator[Any]:
        with self._database.cursor() as session:
            session.execute("set timezone = 'UTC'")
            with self._stops.during(session.interrupt):
                yield session

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Any]:
        with explaining(self.place, doing, self._stops), self._session() as session:
            yield session

    # the catalog

    def relations(self) -> Sequence[Readable]:
        return self._relations

    @cached_property
    def _relations(self) -> Sequence[Readable]:
        query = (resources.files("windlass.engines.duckdb") / "relations.sql").read_text()
        with self._asking("reading what it holds") as session:
            rows = session.execute(query).fetchall()
        return [
            Readable(
                Name(schema_, name),
                by_pattern=kind == "table",
                key=_key(keys, not_null),
                not_null=frozenset(not_null),
                rows=count,
                size_bytes=max(size, 0),
            )
            for schema_, name, kind, count, size, not_null, keys in rows
        ]

    def item(self, request: Request) -> str:
        return from_item(request)

    def pieces(self, export: Export) -> Sequence[Piece]:
        return ()

    def describe(self, request: Request) -> Described:
        query = statement("describe select * from {item}", item=verbatim(self.item(request)))
        with self._asking(f"reading {request.name}") as session:
            rows = session.execute(query).fetchall()
            cast = self._describe_casts(session, request)
        return Described(tuple(cast.get(row[0]) or column_of(row[0], row[1]) for row in rows))

    def _describe_casts(self, session: Any, request: Request) -> dict[str, Column]:
        found = {}
        for name, type_ in request.casts.items():
            query = statement(
                "describe select cast(null as {type}) as {name}",
                type=verbatim(type_),
                name=names(name),
            )
            ((_, described, *_rest),) = session.execute(query).fetchall()
            found[name] = replace(column_of(name, described), cast=type_)
        return found

    def span(self, export: Export, last: str) -> Span:
        """The range as text. A time watermark never ends in the future, because later rows would be
        skipped."""
        column = self._marked(export)
        highest = statement("max({mark})", mark=names(export.watermark))
        if column.kind in STAMPS:
            now = verbatim(_NOW[column.kind])
            # least() ignores NULLs
            highest = statement(
                "{most} filter (where {mark} <= {now})"
                if export.span.once
                else "case when {most} is not null then least({most}, {now}) end",
                most=verbatim(highest),
                mark=names(export.watermark),
                now=now,
            )
        elif column.kind in FLOATS:  # NaN is greater than all others
            highest = statement(
                "{most} filter (where isfinite({mark}))",
                most=verbatim(highest),
                mark=names(export.watermark),
            )
        query = statement(
            "select cast({most} as varchar) from {item}",
            most=verbatim(highest),
            item=verbatim(export.query),
        )
        with self._asking(f"reading {export.name}") as session:
            (upto,) = session.execute(query).fetchone()
            without = statement(
                "select 1 from {item} where {mark} is null{endless} limit 1",
                mark=names(export.watermark),
                item=verbatim(export.query),
                endless=verbatim(
                    statement(" or not isfinite({mark})", mark=names(export.watermark))
                    if column.kind in (*STAMPS, *FLOATS)
                    else ""
                ),
            )
            if export.span.once and session.execute(without).fetchone():
                raise no_watermark(export)
            since = _earlier(session, export.span, last, column) if last else ""
        return replace(export.span, since=since, upto=upto or last)

    def _marked(self, export: Export) -> Column:
        """Add the watermark's column, in case it is not exported."""
        every = statement("select * from {item}", item=verbatim(export.query))
        request = Request(export.name, None, every)
        columns = self.describe(request).columns
        return next(column for column in columns if column.name == export.watermark)

    @contextmanager
    def reading(
        self, export: Export, target: Facts, run: str, share: int = 1
    ) -> Iterator[DuckDbRows]:
        is_marked = export.watermark and (export.span.since or export.span.once)
        type_ = self._marked(export).type if is_marked else ""
        with self._session() as session:
            yield DuckDbRows(self.place, session, export, type_, self._stops, self._memory)


def _earlier(session: Any, span: Span, last: str, column: Column) -> str:
    """Where reading begins: the last value, minus the overlap if there is one."""
    if span.overlap_seconds:
        less, overlap = verbatim("to_microseconds(?)"), int(span.overlap_seconds * 1_000_000)
    elif span.overlap:
        less, overlap = verbatim("?"), span.overlap
    else:
        return last
    earlier = statement(
        "select cast(cast(? as {type}) - {less} as varchar)",
        type=verbatim(column.type),
        less=less,
    )
    (found,) = session.execute(earlier, [last, overlap]).fetchone()
    return str(found)


def _key(keys: Sequence[Sequence[str]], not_null: Collection[str]) -> tuple[str, ...]:
    """The primary key; otherwise the first unique key without NULLs."""
    sure = (key for key in keys if all(column in not_null for column in key))
    return tuple(next(sure, ()))
