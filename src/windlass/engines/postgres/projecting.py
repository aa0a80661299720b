"""A PostgreSQL database that is read for another engine: its structure, and its rows in the form in
which the target stores them. All is read in one exported snapshot, by read-only sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from psycopg import sql

from windlass.engines.kept import Kept
from windlass.engines.postgres.catalog import read_server
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.foreign.digests import Proven, read_buckets, read_digest, read_rows
from windlass.engines.postgres.ranges import blocks_of
from windlass.engines.postgres.session import Address, Connection, Role, cancel_active
from windlass.engines.postgres.snapshot import SnapshotHolder, enter
from windlass.engines.postgres.structure import read_structure
from windlass.engines.starting import when_up
from windlass.engines.stopping import Stops
from windlass.errors import SnapshotLost
from windlass.model.chunk import BlockRange
from windlass.model.conversion import ColumnPlan, PgConstraint, PgStructure, Projection
from windlass.model.plan import Server
from windlass.model.relation import Name
from windlass.model.snapshot import Snapshot
from windlass.model.translation import Digest, Field, Row, Type

BATCH_BYTES = 2 << 20
MOST_LEVELS = 100  # of rows that refer to each other
_MOST_ROWS, _UNKNOWN_ROWS = 5_000, 200
_PURPOSE = "windlass rows"


class ProjectedSource:
    """Call `hold` first. Its methods may then be called by several threads at once."""

    def __init__(self, address: Address, within: str = "") -> None:
        """Connects to nothing yet. `within` is another session's snapshot to read in."""
        self._address, self._within = address, within
        self._holder: SnapshotHolder | None = None
        self._kept: Kept[Connection] = Kept(lambda one: one.close())
        self._stops = Stops()
        self._server: Server | None = None
        self.snapshot = Snapshot(0, "", "", "")

    @property
    def server(self) -> Server:
        assert self._server is not None, "the snapshot is not held"
        return self._server

    def hold(self, number: int = 1) -> Snapshot:
        """Take the snapshot, or enter the given one.

        Raises:
            WindlassError: the source cannot be reached, or the snapshot given is gone.
        """
        self.close()
        self._holder = when_up(
            lambda: SnapshotHolder(self._address, "windlass snapshot", self._within)
        )
        self._server = read_server(self._holder.connection)[0]
        self.snapshot = self._holder.numbered(number)
        return self.snapshot

    def number(self, number: int) -> None:
        """Set the snapshot's number, in a run that is resumed."""
        self.snapshot = replace(self.snapshot, number=number)

    def lock(self, names: Sequence[Name]) -> None:
        """Keep relations from being dropped, truncated or rewritten."""
        assert self._holder is not None
        self._holder.lock(names)

    def check(self) -> None:
        """Raises:
        SnapshotLost: it is gone.
        """
        if self._holder is None or not self._holder.alive:
            raise SnapshotLost("the session that held the snapshot is gone", side="source")

    def structure(self) -> PgStructure:
        with self._session() as session:
            return read_structure(session)

    def counts(self, name: Name, conditions: Sequence[sql.Composable], *, only: bool) -> list[int]:
        """How many rows there are, and how many meet each of the conditions."""
        parts = [sql.SQL("count(*) filter (where {})").format(one) for one in conditions]
        query = sql.SQL("select {} from {}").format(
            sql.SQL(", ").join([sql.SQL("count(*)"), *parts]), table_of(name, only=only)
        )
        with self._session() as session, explaining(f"counting values of {name}", side="source"):
            row = session.execute(query).fetchone()
        assert row is not None
        return [int(cast("int", one)) for one in row]

    def value(self, expression: str, text: str) -> Any:
        """The value of a constant of the source's, in the form of `text`."""
        query = sql.SQL("select {}").format(
            verbatim(text).format(sql.SQL("({})").format(verbatim(expression)))
        )
        with self._session() as session, explaining("reading a default", side="source"):
            row = session.execute(query, binary=True).fetchone()
        assert row is not None
        return row[0]

    def last_number(self, sequence: Name, increment: int) -> int:
        """The last number that a sequence has given; if none, that before its first."""
        name = sql.Identifier(sequence.schema, sequence.name)
        query = sql.SQL("select last_value - case when is_called then 0 else {} end from {}")
        with self._session() as session, explaining(f"reading {sequence}", side="source"):
            row = session.execute(query.format(sql.Literal(increment), name)).fetchone()
        assert row is not None
        return int(cast("int", row[0]))

    def is_ordered(self, table: Name, key: PgConstraint, *, only: bool) -> bool:
        """Whether each row of a table refers to none, or to one that does so, and so on: by a key
        to the table itself, over at most so many rows."""
        parts = {
            "table": table_of(table, only=only),
            "referred": _columns("t", key.referred),
            "roots": sql.SQL(" or ").join(
                sql.SQL("{} is null").format(sql.Identifier("t", one)) for one in key.columns
            ),
            "same": sql.SQL(" and ").join(
                sql.SQL("{} = {}").format(sql.Identifier("t", ours), sql.Identifier("r", theirs))
                for ours, theirs in zip(key.columns, key.referred, strict=True)
            ),
            "most": sql.Literal(MOST_LEVELS),
        }
        query = sql.SQL(
            "with recursive r as (select {referred}, 1 as windlass_level from {table} as t"
            " where {roots} union all select {referred}, r.windlass_level + 1 from {table} as t"
            " join r on {same} where r.windlass_level < {most})"
            " select (select count(*) from r) = (select count(*) from {table} as t)"
        ).format(**parts)
        with self._session() as session, explaining(f"reading {table}", side="source"):
            row = session.execute(query).fetchone()
        return bool(row and row[0])

    def rows(
        self, rows: sql.Composable, expressions: Sequence[sql.Composable], about: int, what: str
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Batches of values. `about` is a row's size in bytes, 0 if it is not known. The next batch
        is fetched while one is used."""
        query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(expressions), rows)
        many = max(1, min(_MOST_ROWS, BATCH_BYTES // about)) if about > 0 else _UNKNOWN_ROWS
        with (
            self._session() as session,
            explaining(f"reading {what}", side="source"),
            session.cursor("windlass_rows", binary=True) as cursor,
            ThreadPoolExecutor(1, "windlass-fetch") as pool,
        ):
            cursor.execute(query)
            pending = pool.submit(cursor.fetchmany, many)
            while found := pending.result():
                pending = pool.submit(cursor.fetchmany, many)
                yield found

    def digest(self, projection: Projection) -> Digest:
        with self._session() as session:
            return read_digest(session, _proven(projection))

    def buckets(self, projection: Projection) -> Mapping[int, Digest]:
        with self._session() as session:
            return read_buckets(session, _proven(projection))

    def rows_of(self, projection: Projection, buckets: Sequence[int]) -> list[Row]:
        with self._session() as session:
            return list(read_rows(session, _proven(projection), buckets))

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        with (
            self._kept.one(self._opened) as session,
            self._stops.during(lambda: cancel_active(session)),
        ):
            yield session

    def _opened(self) -> Connection:
        session = self._address.connect(Role.SOURCE, _PURPOSE)
        try:
            enter(session, self.snapshot.id)
        except BaseException:
            session.close()
            raise
        return session

    def cancel(self) -> None:
        self._stops.cancel()

    def close(self) -> None:
        self._kept.close()
        if self._holder is not None:
            self._holder.close()
        self._holder = None


def _columns(alias: str, columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(alias, one) for one in columns)


def verbatim(text: str) -> sql.SQL:
    """SQL that needs no quoting: an expression from the catalog, or an engine's template."""
    return sql.SQL(text)


def table_of(name: Name, *, only: bool, blocks: BlockRange | None = None) -> sql.Composable:
    """The FROM item; of `blocks`, with the condition."""
    table = sql.SQL("only {}" if only else "{}").format(sql.Identifier(name.schema, name.name))
    return table if blocks is None else sql.SQL("{} where {}").format(table, blocks_of(blocks))


def expression_of(column: ColumnPlan) -> sql.Composable:
    """The expression for a column as it arrives."""
    return verbatim(column.carried.text).format(sql.Identifier(column.source))


def _proven(projection: Projection) -> Proven:
    columns = projection.columns
    parts = [
        sql.SQL("{} as {}").format(expression_of(one), sql.Identifier(one.target))
        for one in columns
    ]
    rows = sql.SQL("(select {} from {}) as windlass_rows").format(
        sql.SQL(", ").join(parts),
        table_of(projection.name, only=not projection.includes_children, blocks=projection.part),
    )
    return Proven(
        projection.name,
        tuple(one.target for one in columns),
        tuple(Field(one.target, Type(one.carried.sort, bits=64)) for one in columns),
        projection.key,
        projection.floats,
        rows,
        "source",
    )
