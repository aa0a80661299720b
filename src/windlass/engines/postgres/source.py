"""PostgreSQL as the source of an export: one exported snapshot, in which sessions of all processes
read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import sql

from windlass.engines import statements
from windlass.engines.base import Facts, no_watermark
from windlass.engines.postgres import catalog
from windlass.engines.postgres.arrow import Canonical
from windlass.engines.postgres.describing import describe
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.facts import FACTS
from windlass.engines.postgres.own_schemas import OwnSchemas, read_own_schemas, read_own_tables
from windlass.engines.postgres.pieces import HeapPiece, Pieces, read_pieces
from windlass.engines.postgres.readers import Reader, Readers
from windlass.engines.postgres.relation import CatalogRelation
from windlass.engines.postgres.selecting import count_csv_losses, csv_list, from_item, select
from windlass.engines.postgres.session import Address, Connection, cancel_active
from windlass.engines.postgres.settled import Settled, endless, read_settled
from windlass.engines.postgres.snapshot import SnapshotHolder, check_seen
from windlass.engines.postgres.users_sql import (
    as_in_psql,
    named_tables,
    planned_tables,
    read_settings,
    set_local,
)
from windlass.engines.stopping import Stops
from windlass.model.export import Column, Described, Export, Losses, Readable, Request, Span
from windlass.model.relation import Kind, Name
from windlass.model.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

# relations that a pattern can match; partitions only match by full name, as their rows belong to
# the root
_PLAIN = (Kind.TABLE, Kind.PARTITIONED, Kind.MATERIALIZED_VIEW)

_TYPE_OF_HIGHEST = sql.SQL("select pg_catalog.pg_typeof(max({})) from {} where false")


class PostgresSource:
    """Use as a context manager; see `windlass.engines.base.Source`."""

    facts = FACTS

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL cannot be understood.
        """
        self._address = Address.parse("source", url)
        self._snapshot = Snapshot(0, "", "", "")
        self._stops = Stops()
        self._readers = Readers(self._address)
        self._holder: SnapshotHolder | None = None
        self._settled = Settled()
        self._notices: Sequence[str] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._readers.close()
        if self._holder:
            self._holder.close()

    @property
    def place(self) -> str:
        return str(self._catalog.server) if self._holder else str(self._address)

    @property
    def identity(self) -> str:
        return self._catalog.server.identity

    def assets(self, export: Export) -> list[dict[str, str]]:
        if export.relation:
            return self._address.assets(Name.read(export.relation))
        found = named_tables(export.query)
        return [asset for one in found for asset in self._address.assets(one)]

    def hold(self, number: int = 1, *, overlaps: Sequence[float | None] = ()) -> Snapshot:
        if self._holder is None:
            if overlaps:
                self._settled = read_settled(self._address)
                self._notices = self._settled.notices(overlaps)
            self._holder = SnapshotHolder(self._address, "windlass snapshot")
        self._snapshot = self._holder.numbered(number)
        return self._snapshot

    def notices(self) -> Sequence[str]:
        return self._notices

    @property
    def alive(self) -> bool:
        return self._holder is None or self._holder.alive

    @property
    def held_at(self) -> tuple[Address, int] | None:
        """The server, and its process that holds the snapshot and the relations' locks, if that is
        a session of this process."""
        held = self._holder
        return (self._address.at(held.connection), held.pid) if held else None

    def join(self, snapshot: Snapshot) -> None:
        """Fails later, when reading, if it is gone."""
        self._snapshot = snapshot

    def cancel(self) -> None:
        self._stops.cancel()

    # what exists

    @property
    def _held(self) -> Connection:
        assert self._holder is not None, "hold comes first"
        return self._holder.connection

    @cached_property
    def _catalog(self) -> catalog.Catalog:
        """The catalog. Reading it may have to wait behind a session that alters a relation."""
        held = self._held
        with self._stops.during(lambda: cancel_active(held)):
            return catalog.read_catalog(held)

    @cached_property
    def _relations(self) -> dict[Name, CatalogRelation]:
        return {one.name: one for one in self._catalog.relations}

    @cached_property
    def _by_text(self) -> dict[str, CatalogRelation]:
        return {str(one.name): one for one in self._catalog.relations}

    @cached_property
    def _own(self) -> OwnSchemas:
        return read_own_schemas(self._held, side="source")

    @cached_property
    def _own_tables(self) -> frozenset[Name]:
        return read_own_tables(self._held, self._own, side="source")

    def relations(self) -> Sequence[Readable]:
        return [self._readable(one) for one in self._catalog.relations]

    def _readable(self, relation: CatalogRelation) -> Readable:
        name, faults = relation.name, []
        if name in self._catalog.unreadable:
            faults.append(("may not be read", "grant select"))
        if name in self._catalog.hiding:
            faults.append(("row security hides rows", "use a role with BYPASSRLS"))
        return Readable(
            name,
            by_pattern=relation.kind in _PLAIN and relation.partition_of is None,
            key=relation.keyset,
            not_null=frozenset(one.name for one in relation.columns if one.not_null),
            rows=relation.rows,
            size_bytes=self._sizes[name],
            faults=tuple(faults),
            is_ours=name.schema in self._own.names or name in self._own_tables,
        )

    @cached_property
    def _sizes(self) -> Mapping[Name, int]:
        """In bytes, with those of all partitions."""
        sizes: Counter[Name] = Counter()
        for relation in self._catalog.relations:
            above: CatalogRelation | None = relation
            while above:
                sizes[above.name] += relation.size_bytes
                above = self._relations.get(above.partition_of) if above.partition_of else None
        return sizes

    @cached_property
    def _pieces(self) -> Pieces:
        return read_pieces(self._held, self._catalog)

    def pieces(self, export: Export) -> Sequence[HeapPiece]:
        """The pieces of a relation. None if there is a condition: the server may know a shorter way
        to the rows."""
        if self._holder is None:  # another process has read the catalog
            return ()
        found = self._by_text.get(export.relation)
        if found is None or export.query != self.item(Request(export.name, self._readable(found))):
            return ()
        return self._pieces.of(found)

    def describe(self, request: Request) -> Described:
        item = sql.SQL(self.item(request))
        columns = self._described(sql.SQL("select * from {}").format(item), request)
        casts = {one.name: _cast(one.name, request) for one in columns if one.name in request.casts}
        if casts:
            some = sql.SQL("select {} from {}").format(sql.SQL(", ").join(casts.values()), item)
            found = {one.name: one for one in self._described(some, request)}
            columns = [
                replace(found[one.name], cast=request.casts[one.name]) if one.name in found else one
                for one in columns
            ]
        return Described(tuple(columns))

    def _described(self, query: sql.Composed, request: Request) -> list[Column]:
        return describe(self._held, query, request, self._scope(request))

    def _scope(self, of: Request | Export) -> AbstractContextManager[object]:
        """A savepoint in which the user's own SQL runs as in psql."""
        if of.has_sql:
            return as_in_psql(self._held, of.schema)
        return self._held.transaction()

    def item(self, request: Request) -> str:
        """The relation as a FROM item. Its children are separate relations, unless they are its
        partitions."""
        found = self._relations[request.relation.name] if request.relation else None
        only = found is not None and found.family.has_children and found.kind is Kind.TABLE
        return statements.from_item(request, only=only)

    def keep(self, exports: Collection[Export]) -> None:
        """Lock the tables that are read: the snapshot does not protect them from DROP and TRUNCATE,
        which then wait until it is released."""
        assert self._holder is not None, "hold comes first"
        tables = {
            name: one
            for name, one in self._relations.items()
            if one.kind in (Kind.TABLE, Kind.PARTITIONED)
        }
        named = (self._by_text.get(one.relation) for one in exports)
        kept = {one.name for one in named if one and one.name in tables}
        while more := {one.name for one in tables.values() if one.partition_of in kept} - kept:
            kept |= more
        kept |= {name for one in exports for name in self._planned(one)} & tables.keys()
        self._holder.lock(name for name in tables if name in kept)

    def _planned(self, export: Export) -> Iterable[Name]:
        """The tables that an export reads and may lock, if it is more than a table. What functions
        read is not in its plan."""
        found = self._by_text.get(export.relation)
        if found and not export.has_sql and found.kind in (Kind.TABLE, Kind.PARTITIONED):
            return ()
        with self._scope(export):
            return planned_tables(self._held, export)

    # watermarks

    def span(self, export: Export, last: str) -> Span:
        """The range as text, of the column's own type. A time watermark ends before the first
        transaction that may still be writing, and never in the future or at infinity, because later
        rows would be skipped."""
        mark = sql.Identifier(export.watermark)
        item = from_item(replace(export, watermark=""))
        once = export.span.once
        try:
            with self._scope(export):
                type_ = self._value(_TYPE_OF_HIGHEST.format(mark, item))
                if once:
                    self._check_marked(export, mark, item, type_)
                if last:
                    self._compare(export, mark, item, last)
                query = self._settled.highest(mark, type_, item, self._version, once=once)
                highest = self._value(query)
            since = self._earlier(export.span, last) if last else ""
        except psycopg.Error as error:
            doing = f"reading the watermark of {export.name}"
            raise explain(error, doing, side="source") from error
        return replace(export.span, since=since, upto=highest or last)

    def _earlier(self, span: Span, last: str) -> str:
        """Where reading begins: the last value, minus the overlap if there is one."""
        value = sql.Literal(last)
        if span.overlap_seconds:
            earlier = sql.SQL("select ({}::timestamptz - make_interval(secs => {}))::text")
            return self._value(earlier.format(value, sql.Literal(span.overlap_seconds)))
        if span.overlap:
            lower = sql.SQL("select ({}::numeric - {})::text")
            return self._value(lower.format(value, sql.Literal(span.overlap)))
        return last

    @property
    def _version(self) -> int:
        return self._held.info.server_version

    def _check_marked(
        self, export: Export, mark: sql.Identifier, item: sql.Composed, type_: str
    ) -> None:
        """Check that every row has a watermark that can be compared.

        Raises:
            WindlassError: rows have no watermark, or one that says nothing.
        """
        found = self._by_text.get(export.relation)
        sure = {one.name for one in found.columns if one.not_null} if found else ()
        tests = [] if export.watermark in sure else [sql.SQL("{} is null").format(mark)]
        if is_endless := endless(mark, type_, self._version):
            tests.append(is_endless)
        for test in tests:
            if self._value(sql.SQL("select 1 from {} where {} limit 1").format(item, test)):
                raise no_watermark(export)

    def _compare(self, export: Export, mark: sql.Identifier, item: sql.Composed, last: str) -> None:
        """Give a notice if all rows are below the last run's end: some may be new."""
        query = sql.SQL("select case when max({}) < {} then 1 end from {}")
        if self._value(query.format(mark, sql.Literal(last), item)):
            self._notices = (
                *self._notices,
                f"{export.name}: all rows are below {export.watermark} {last}, where the last run"
                " ended, and are not read: if it was re-created, give it another `table` or `to`",
            )

    def _value(self, query: sql.Composed) -> str:
        row = self._held.execute(query).fetchone()
        return str(row[0]) if row and row[0] is not None else ""

    # rows

    @contextmanager
    def reading(
        self, export: Export, target: Facts, run: str, share: int = 1
    ) -> Iterator[PostgresRows]:
        purpose = f"windlass export {run}"
        with self._readers.one(self._snapshot.id, purpose, self._session) as reader:
            yield PostgresRows(reader, export, target, self._stops, share)

    def _session(self) -> Connection | None:
        return self._holder.connection if self._holder else None


def _cast(column: str, request: Request) -> sql.Composed:
    type_ = sql.SQL(request.casts[column])
    return sql.SQL("{0}::{1} as {0}").format(sql.Identifier(column), type_)


class PostgresRows:
    """See `windlass.engines.base.Rows`."""

    def __init__(
        self, reader: Reader, export: Export, target: Facts, stops: Stops, share: int
    ) -> None:
        self._reader, self._export, self._target = reader, export, target
        self._stops, self._share = stops, share
        self.losses = Losses()

    def _settings(self) -> Mapping[str, str]:
        """The settings for a transaction that reads the user's SQL, if there is any."""
        export = self._export
        return read_settings(self._reader.any, export.schema) if export.has_sql else {}

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        canonical = Canonical(self._export)
        reader = self._reader.arrow
        with self._reader.busy(), self._stops.during(reader.cancel):
            for batch in reader.batches(self._export, self._settings(), self._share):
                yield canonical.batch(batch)
            reader.check_seen()
        self.losses = canonical.losses

    def lines(self) -> Generator[bytes | bytearray | memoryview, None, None]:
        """Lines of CSV; the server sends a message for each row."""
        query = select(self._export, csv_list(self._export, self._target))
        null = sql.Literal(self._target.csv_null)
        copy = sql.SQL("copy ({}) to stdout (format csv, null {})").format(query, null)
        connection = self._reader.plain
        try:
            with self._reader.busy(), self._stops.during(lambda: cancel_active(connection)):
                if settings := self._settings():
                    set_local(connection, settings)
                with connection.cursor() as cursor, cursor.copy(copy) as stream:
                    yield from stream
                self.losses = count_csv_losses(connection, self._export, self._target)
                set_local(connection, {"search_path": ""})
                check_seen(connection)
        except psycopg.Error as error:
            raise explain(error, f"reading {self._export.name}", side="source") from error
