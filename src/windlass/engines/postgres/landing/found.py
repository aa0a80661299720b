"""Rows of a table that change, found once and kept in a temporary table for the rest of the
transaction, whose lock keeps them where they are.

One join of the staged rows with the table serves both the UPDATE and the INSERT of a merge. The
UPDATE finds each row by its position; a hash of the positions of the whole table took longer than
the UPDATE itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.postgres.landing.columns import Column, listed
from windlass.engines.postgres.session import Connection

_FOUND = sql.SQL("pg_temp.windlass_found")
_MEMORY = (
    "select pg_catalog.set_config('work_mem', pg_catalog.concat(greatest(65536,"
    " (select setting::bigint from pg_catalog.pg_settings where name = 'work_mem')), 'kB'), true)"
)
"""Of the server, for sorting and hashing in the caller's transaction."""
_NO_JIT = "select pg_catalog.set_config('jit', 'off', true)"
"""Compiling takes longer than it saves: joining 500,000 rows with 5 million took 4.2 s of CPU with
it, 3.8 s without."""


_CHEAP_TUPLES = "select pg_catalog.set_config('parallel_tuple_cost', '0.001', true)"
"""What several processes find is written, not sent to a client. With the default of 0.1, 500,000
rows were found by one process, in twice the time."""


def search_widely(connection: Connection) -> None:
    """Settings for finding rows in the rest of the transaction."""
    for one in (_MEMORY, _NO_JIT, _CHEAP_TUPLES):
        connection.execute(one)


@contextmanager
def reading_by_position(connection: Connection) -> Iterator[None]:
    """Make the planner read rows by their positions; queries of triggers are not planned much
    worse."""
    cost = _set_cost(connection, "0")
    yield
    _set_cost(connection, cost)


def _set_cost(connection: Connection, value: str) -> str:
    """Returns what it was."""
    query = "select pg_catalog.current_setting('random_page_cost')"
    row = connection.execute(query).fetchone()
    connection.execute(
        "select pg_catalog.set_config('random_page_cost', %s, true)", (value,), prepare=False
    )
    return str(row[0]) if row else ""


@dataclass(frozen=True, slots=True)
class Found:
    """`place` is the position of a row, NULL if it will be added; `wrote` is the transaction that
    wrote it. `o0`... are the old values of all `columns`, `n0`... the new values of the `given`
    ones."""

    connection: Connection
    target: sql.Identifier
    columns: Sequence[Column]
    given: Sequence[Column]

    def find(
        self, source: sql.Composable, values: Mapping[str, sql.Composable], where: sql.Composable
    ) -> None:
        """`source` has the table as t; `values` are those of `given`, by name."""
        olds = (
            sql.SQL("t.{} as {}").format(one.identifier, sql.Identifier(f"o{at}"))
            for at, one in enumerate(self.columns)
        )
        news = (
            sql.SQL("{} as {}").format(values[one.name], sql.Identifier(f"n{at}"))
            for at, one in enumerate(self.given)
        )
        search_widely(self.connection)
        self.connection.execute(sql.SQL("drop table if exists {}").format(_FOUND))
        self._run(
            sql.SQL(
                "create temporary table windlass_found on commit drop as"
                " select t.tableoid as place_in, t.ctid as place, t.xmin as wrote, {} from {}"
                " where {}"
            ).format(listed([*olds, *news]), source, where)
        )

    def update(self, saved: sql.Composable, made: sql.Composable) -> int:
        """Set the columns that an UPDATE can set, and keep how the rows were."""
        sets = [
            sql.SQL("{} = f.{}").format(one.identifier, sql.Identifier(f"n{at}"))
            for at, one in enumerate(self.given)
            if one.is_settable
        ]
        if not sets:
            return 0
        with reading_by_position(self.connection):
            return self._run(
                sql.SQL(
                    "with changed as (update {table} t set {sets} from {found} f"
                    " where t.ctid = f.place and t.tableoid = f.place_in"
                    " returning {made} as made, f.wrote, {olds})"
                    " {saved}, made, wrote, {olds} from changed"
                ).format(
                    table=self.target,
                    sets=listed(sets),
                    found=_FOUND,
                    made=made,
                    olds=listed(sql.Identifier(f"o{at}") for at in range(len(self.columns))),
                    saved=saved,
                )
            )

    @property
    def added(self) -> sql.Composed:
        """A FROM item of rows to add, with the given columns."""
        values = listed(
            sql.SQL("{} as {}").format(sql.Identifier(f"n{at}"), one.identifier)
            for at, one in enumerate(self.given)
        )
        return sql.SQL("(select {} from {} where place is null)").format(values, _FOUND)

    def _run(self, statement: sql.Composed) -> int:
        return self.connection.execute(statement, prepare=False).rowcount
