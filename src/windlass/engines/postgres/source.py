"""PostgreSQL as the source of an export: one exported snapshot, in which sessions of all processes
read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import sql

from windlass.engines import statements
from windlass.engines.base import Facts
from windlass.engines.postgres import catalog
from windlass.engines.postgres.arrow import ArrowReader, Canonical
from windlass.engines.postgres.describing import describe
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.facts import FACTS
from windlass.engines.postgres.relation import CatalogRelation
from windlass.engines.postgres.selecting import count_csv_losses, csv_list, from_item, select
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.postgres.settled import Settled, read_settled
from windlass.engines.postgres.snapshot import SnapshotHolder, enter
from windlass.engines.stopping import Stops
from windlass.model.export import Described, Export, Losses, Readable, Request, Span
from windlass.model.relation import Kind, Name
from windlass.model.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

# what a pattern matches; partitions only by full name, as their rows belong to the root
_PLAIN = (Kind.TABLE, Kind.PARTITIONED, Kind.MATERIALIZED_VIEW)


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
        self._holder: SnapshotHolder | None = None
        self._settled = Settled()
        self._notices: Sequence[str] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._holder:
            self._holder.close()

    @property
    def place(self) -> str:
        return str(self._catalog.server) if self._holder else str(self._address)

    @property
    def identity(self) -> str:
        return self._catalog.server.identity

    def hold(self, number: int = 1, *, overlaps: Sequence[float] = ()) -> Snapshot:
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

    def join(self, snapshot: Snapshot) -> None:
        """Fails later, when reading, if it is gone."""
        self._snapshot = snapshot

    def cancel(self) -> None:
        self._stops.cancel()

    # what there is

    @property
    def _held(self) -> Connection:
        assert self._holder is not None, "hold comes first"
        return self._holder.connection

    @cached_property
    def _catalog(self) -> catalog.Catalog:
        return catalog.read_catalog(self._held)

    @cached_property
    def _relations(self) -> dict[Name, CatalogRelation]:
        return {one.name: one for one in self._catalog.relations}

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
            size_bytes=relation.size_bytes,
            faults=tuple(faults),
        )

    def describe(self, request: Request) -> Described:
        every = sql.SQL("select * from {}").format(sql.SQL(self.item(request)))
        return Described(tuple(describe(self._held, every, request.name)))

    def item(self, request: Request) -> str:
        """Children of a relation are separate relations, unless they are its partitions."""
        found = self._relations[request.relation.name] if request.relation else None
        only = found is not None and found.has_children and found.kind is Kind.TABLE
        return statements.from_item(request, only=only)

    def keep(self, names: Collection[str]) -> None:
        """Lock the relations: a snapshot does not protect from DROP and TRUNCATE, which wait until
        it is released."""
        assert self._holder is not None, "hold comes first"
        kept = {name for name in self._relations if str(name) in names}
        while more := {
            one.name for one in self._relations.values() if one.partition_of in kept
        } - kept:  # fmt: skip
            kept |= more
        kinds = (Kind.TABLE, Kind.PARTITIONED)
        self._holder.lock(
            name for name, one in self._relations.items() if name in kept and one.kind in kinds
        )

    # watermarks

    def span(self, export: Export, last: str) -> Span:
        """As text: the column's own type. A time watermark ends before the first transaction that
        may still be writing, and never in the future or at infinity, because later rows would be
        skipped."""
        overlap, mark = export.span.overlap_seconds, sql.Identifier(export.watermark)
        item = from_item(replace(export, watermark=""))
        try:
            type_ = self._value(
                sql.SQL("select pg_typeof(max({})) from {} where false").format(mark, item)
            )
            most = self._settled.highest(mark, type_)
            highest = self._value(sql.SQL("select ({})::text from {}").format(most, item))
            if last and overlap:
                last = self._value(
                    sql.SQL("select ({}::timestamptz - make_interval(secs => {}))::text").format(
                        sql.Literal(last), sql.Literal(overlap)
                    )
                )
        except psycopg.Error as error:
            doing = f"reading the watermark of {export.name}"
            raise explain(error, doing, side="source") from error
        return Span(overlap, last, highest or last)

    def _value(self, query: sql.Composed) -> str:
        row = self._held.execute(query).fetchone()
        return str(row[0]) if row and row[0] is not None else ""

    # rows

    @contextmanager
    def reading(self, export: Export, target: Facts, run: str) -> Iterator[PostgresRows]:
        purpose = f"windlass export {run}"
        connection = self._address.connect(Role.SOURCE, purpose)
        with connection, self._stops.during(connection.cancel_safe):
            enter(connection, self._snapshot.id)

            def open_reader() -> ArrowReader:
                return ArrowReader(self._address, connection, self._snapshot.id, f"{purpose} rows")

            yield PostgresRows(connection, export, target, open_reader, self._stops)


class PostgresRows:
    """See `windlass.engines.base.Rows`."""

    def __init__(
        self,
        connection: Connection,
        export: Export,
        target: Facts,
        open_reader: Callable[[], ArrowReader],
        stops: Stops,
    ) -> None:
        self._connection, self._export, self._target = connection, export, target
        self._open_reader, self._stops = open_reader, stops
        self.losses = Losses()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        canonical = Canonical(self._export)
        with closing(self._open_reader()) as reader, self._stops.during(reader.cancel):
            for batch in reader.batches(self._export):
                yield canonical.batch(batch)
        self.losses = canonical.losses

    def lines(self) -> Generator[bytes | bytearray | memoryview, None, None]:
        """The server sends one message for each row."""
        query = select(self._export, csv_list(self._export.columns, self._target))
        null = sql.Literal(self._target.csv_null)
        copy = sql.SQL("copy ({}) to stdout (format csv, null {})").format(query, null)
        try:
            with self._connection.cursor() as cursor, cursor.copy(copy) as stream:
                yield from stream
            self.losses = count_csv_losses(self._connection, self._export, self._target)
        except psycopg.Error as error:
            raise explain(error, f"reading {self._export.name}", side="source") from error
