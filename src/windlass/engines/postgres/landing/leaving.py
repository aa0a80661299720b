"""What ended runs of loads have left in the journal's schema: before-images, refused rows, and what
staging made if a run was killed."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from windlass.engines.incoming.past import check_ended
from windlass.engines.postgres.landing.books import Books, Session
from windlass.engines.postgres.landing.names import SCHEMA
from windlass.errors import Refused
from windlass.model.outcome import UNFINISHED
from windlass.model.past import Left
from windlass.model.relation import Name
from windlass.model.report import Problem


def read_left(connection: Session, books: Books, run: str = "") -> list[Left]:
    """Of all runs that have ended, or of one.

    Raises:
        Refused: no such run is known, or it is unfinished.
    """
    runs = {one.run: one for one in books.runs(connection)}
    if run and run not in runs:
        raise Refused([Problem(f"run {run}", "is no run of loads into this database")])
    if run:
        check_ended(run, runs[run].state)
    found = []
    for one in runs.values():
        if one.state in UNFINISHED or run not in ("", one.run):
            continue
        kept = _tables(connection, one.run)
        size, tables = sum(size for _, size in kept), tuple(Name(SCHEMA, name) for name, _ in kept)
        found.append(Left(one.run, one.state, one.finished_at, (), size, tables=tables))
    return found


def clean(connection: Session, books: Books, lefts: Sequence[Left]) -> None:
    """Remove it, and forget the runs."""
    for one in lefts:
        with connection.transaction():
            for table, _ in _tables(connection, one.run):
                drop = sql.SQL("drop table {}").format(sql.Identifier(SCHEMA, table))
                connection.execute(drop)
            books.forget(connection, one.run)


def _tables(connection: Session, run: str) -> list[tuple[str, int]]:
    rows = connection.execute(
        "select c.relname::text, pg_catalog.pg_total_relation_size(c.oid)"
        " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relkind = 'r'"
        " and pg_catalog.starts_with(pg_catalog.substr(c.relname, pg_catalog.strpos(c.relname, '_')"
        " + 1), %s) and c.relname ~ '^(stage|undo|refused)_'",
        (SCHEMA, f"{run}_"),
    ).fetchall()
    return [(str(name), int(size)) for name, size in rows]
