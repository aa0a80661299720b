"""What a rewrite will cost: an estimate, from the table's size and the selected rows' width."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from psycopg import sql
from psycopg.rows import class_row

from windlass.engines.postgres.session import Connection
from windlass.inplace.staging import Staging

_LOOKED_AT = 1000  # rows, to measure their width
_ROW_BYTES, _INDEX_BYTES, _PAGE_BYTES = 60, 70, 8192  # of WAL: a row's head, an entry, an image


@dataclass(frozen=True, slots=True)
class Costs:
    rows: int
    transactions: int  # that change rows
    backup_bytes: int
    wal_bytes: int


@dataclass(frozen=True, slots=True)
class _Table:
    size_bytes: int
    pages: int
    indexes: int  # of a partition


def read_costs(connection: Connection, staging: Staging, rows: int, commit_rows: int) -> Costs:
    """An upper estimate: every page that a row is on is written to the WAL once as a whole."""
    plan = staging.plan
    with connection.cursor(row_factory=class_row(_Table)) as cursor:
        table = cursor.execute(_text("costs.sql"), {"oid": plan.number}).fetchone()
    assert table is not None
    width = _width(connection, staging)
    backup = {"full": table.size_bytes, "touched": rows * (width + _ROW_BYTES)}
    backup_bytes = backup.get(plan.kept.level, 0) if rows else 0
    staged = 1 + len({"_set"} if staging.given else ()) + bool(plan.call.function)
    written = width + _ROW_BYTES + table.indexes * _INDEX_BYTES
    wal_bytes = (
        backup_bytes
        + rows * (staged * _ROW_BYTES + width + written)
        + min(rows, table.pages) * _PAGE_BYTES
    )
    return Costs(rows, -(-rows // commit_rows), backup_bytes, wal_bytes)


def _width(connection: Connection, staging: Staging) -> int:
    query = sql.SQL("select coalesce(avg(pg_column_size(t)), 0)::bigint from ({}) t")
    row = connection.execute(query.format(staging.some_selected(_LOOKED_AT))).fetchone()
    return int(str(row[0])) if row else 0


def _text(name: str) -> bytes:
    return (resources.files("windlass.inplace") / name).read_bytes()
