"""A merge into a table where nothing changes a row on its way: what it will be is known before.

One query finds the rows that differ, and writes their before-images: the server may use several
processes for it, which it never does for a query that also changes rows. The UPDATE then only has
to find rows by their positions. Of 60,000 rows among 600,000, three times each in turn: the search
took 0.8 s of CPU, which the processes shared, and the UPDATE 1.0 s; with before-images of what the
UPDATE returns, 0.5 s and 1.4 s, all of it in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.columns import Column, listed
from windlass.engines.postgres.landing.found import reading_by_position, search_widely
from windlass.engines.postgres.landing.images import hash_of_values
from windlass.engines.postgres.landing.rows import Rows
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.model.relation import Name

ADDED = sql.SQL("pg_temp.windlass_added")
_TOO_LITTLE = (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory)


def is_plain(connection: Connection, oid: int) -> bool:
    """Whether a row arrives in the table, and in its partitions, as it is given. Its lock keeps it
    so."""
    with psycopg.RawCursor(connection) as cursor:
        row = cursor.execute(load("landing_plain").as_bytes(connection), (oid,)).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class Merge:
    """Of the staged `rows` into `table`, all of whose columns are given as `columns`. `joined` is
    the condition that a row of the table, t, and a staged one, s, have one key."""

    connection: Connection
    table: Name
    undo: sql.Identifier
    columns: Sequence[Column]
    rows: Rows
    joined: sql.Composable

    @property
    def _target(self) -> sql.Identifier:
        return names.identifier(self.table)

    @property
    def _set(self) -> list[Column]:
        return [one for one in self.rows.columns if one.is_settable]

    @property
    def _ties(self) -> list[str]:
        """Columns that identify a staged row; its table is only needed if there are several."""
        is_one = self.rows.shaped or len(self.rows.inputs) == 1
        return [names.ROW] if is_one else [names.ROW, names.INPUT]

    def keep(self, differs: sql.Composable) -> int:
        """Create the table of before-images, with the rows that the merge will change; returns how
        many there are."""
        given = {one.name for one in self._set}
        made = hash_of_values(
            sql.SQL("{}.{}").format(sql.SQL("s" if one.name in given else "t"), one.identifier)
            for one in self.columns
        )
        ties = [sql.Identifier("s", one) for one in self._ties]
        kept = [
            sql.SQL("t.{0}::{1}{2} as {0}").format(one.identifier, sql.SQL(one.base), one.collated)
            for one in self.columns
        ]
        search_widely(self.connection)
        return self._search(
            sql.SQL(
                "create table {undo} as select t.ctid as {at}, t.tableoid as {into}, {ties},"
                " 'u'::\"char\" as {kind}, {made} as {hash}, t.xmin as {wrote}, {kept}"
                " from {rows} s join {target} t on {joined} where {differs}"
            ).format(
                undo=self.undo,
                at=sql.Identifier(names.AT),
                into=sql.Identifier(names.IN),
                ties=listed(ties),
                kind=sql.Identifier(names.KIND),
                made=made,
                hash=sql.Identifier(names.MADE),
                wrote=sql.Identifier(names.WROTE),
                kept=listed(kept),
                rows=self.rows.source,
                target=self._target,
                joined=self.joined,
                differs=differs,
            )
        )

    def find_added(self) -> int:
        """Keep the staged rows that the table lacks for `ADDED`; returns how many there are."""
        self._run(sql.SQL("drop table if exists {}").format(ADDED))
        return self._search(
            sql.SQL(
                "create temporary table windlass_added on commit drop as select {} from {} s"
                " where not exists (select from {} t where {})"
            ).format(
                listed(sql.SQL("s.{}").format(one.identifier) for one in self.rows.columns),
                self.rows.source,
                self._target,
                self.joined,
            )
        )

    def update(self, kept: int) -> int:
        """Change the rows of which before-images are kept, `kept` in number.

        Raises:
            WindlassError: not all of them were changed, so some before-images would be wrong.
        """
        sets = listed(sql.SQL("{0} = s.{0}").format(one.identifier) for one in self._set)
        same = sql.SQL(" and ").join(
            sql.SQL("s.{0} = u.{0}").format(sql.Identifier(one)) for one in self._ties
        )
        with reading_by_position(self.connection):
            updated = self._run(
                sql.SQL(
                    "update {} t set {} from {} u, {} s"
                    " where t.ctid = u.{} and t.tableoid = u.{} and {}"
                ).format(
                    self._target,
                    sets,
                    self.undo,
                    self.rows.source,
                    sql.Identifier(names.AT),
                    sql.Identifier(names.IN),
                    same,
                )
            )
        if updated != kept:
            raise WindlassError(
                f"{self.table}: {updated:,} of {kept:,} rows were updated, so nothing was changed",
                hint="check whether its row-level security hides rows from this role",
            )
        positions = (names.AT, names.IN, *self._ties)
        drops = listed(sql.SQL("drop column {}").format(sql.Identifier(one)) for one in positions)
        self._run(sql.SQL("alter table {} {}").format(self.undo, drops))
        return updated

    def _search(self, statement: sql.Composed) -> int:
        """A query whose processes share a hash in shared memory, of which a container may have
        little (64 MB by Docker's default): then one process does it."""
        try:
            with self.connection.transaction():
                return self._run(statement)
        except _TOO_LITTLE:
            self.connection.execute(
                "select pg_catalog.set_config('max_parallel_workers_per_gather', '0', true)"
            )
        return self._run(statement)

    def _run(self, statement: sql.Composed) -> int:
        return self.connection.execute(statement, prepare=False).rowcount
