"""Tries what a plan would make, in memory: expressions by the values of all rows, statements by
running them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from psycopg import sql

from windlass.engines.destination import Rows
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.conversion import Carried, ConversionPlan, Tried

_SCRATCH = "windlass_scratch"


class Trial:
    """See `windlass.engines.destination.Proving`."""

    def __init__(self, session: sqlite3.Connection, columns: int, tried: Sequence[Tried]) -> None:
        self._session, self._tried = session, tried
        self._found = [0] * len(tried)
        self._insert = statement(
            "insert into {table} values ({values})",
            table=names(_SCRATCH),
            values=listed([verbatim("?")] * (columns + len(tried))),
        )

    def add(self, rows: Rows) -> None:
        self._session.execute("begin")
        self._session.executemany(self._insert, rows)
        for at, one in enumerate(self._tried):
            if self._found[at] < 0:
                continue
            query = sql.Composed([
                verbatim("select count(*) from "), names(_SCRATCH), verbatim(" where ("),
                verbatim(one.expression), verbatim(") is not "), names(_expected(at)),
            ])  # fmt: skip
            try:
                (count,) = self._session.execute(query.as_string(None)).fetchone()
                self._found[at] += count
            except sqlite3.Error:
                self._found[at] = -1
        self._session.execute("rollback")

    def wrong(self) -> Sequence[int]:
        return self._found


def _expected(at: int) -> str:
    return f"windlass_expected_{at}"


@contextmanager
def proving(columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]) -> Iterator[Trial]:
    """Columns have their types and collations, so they compare as they will on the target."""
    parts: list[sql.Composable] = []
    for name, carried in columns:
        collation = f" collate {carried.collation}" if carried.collation else ""
        parts.append(sql.Composed([names(name), verbatim(f" {carried.type}{collation}")]))
    parts += [names(_expected(at)) for at in range(len(tried))]
    with closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as one:
        one.execute(statement("create table {t} ({parts})", t=names(_SCRATCH), parts=listed(parts)))
        yield Trial(one, len(columns), tried)


def try_plan(plan: ConversionPlan) -> Mapping[str, str]:
    """What could not be made, by name, and why."""
    found: dict[str, str] = {}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as session:
        for table in plan.tables:
            _try(session, str(table.target), table.create, found)
            for one in table.indexes:
                _try(session, f"{table.target} {one.name}", one.statement, found)
        for view in plan.views:
            _try(session, str(view.target), view.statement, found)
            if str(view.target) not in found:
                query = statement("select * from {v} limit 0", v=names(view.target.name))
                _try(session, str(view.target), query, found)
    return found


def _try(session: sqlite3.Connection, name: str, text: str, found: dict[str, str]) -> None:
    try:
        session.execute(text)
    except sqlite3.Error as error:
        found[name] = str(error)
