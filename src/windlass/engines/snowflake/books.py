"""The record of loads, in a table of Snowflake beside those that are loaded.

A line commits with the rows of its load. Snowflake enforces no unique keys, so a writer first takes
a lock: an UPDATE waits for another transaction that changed the same row
(https://docs.snowflake.com/en/sql-reference/transactions#resource-locking). Then the writer checks
whether the line exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windlass.engines.base import OURS
from windlass.engines.loads import OF_RUN, RECORDS, loaded_names
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Fetched, Session, Value
from windlass.engines.statements import statement
from windlass.model.export import Export, Loaded

LOCK = f"{OURS}lock"
_RECORDS, _LOCK = named(RECORDS), named(LOCK)


def _of(run: str, export: Export) -> list[str]:
    return [run, export.table, export.source, export.name]


@dataclass(frozen=True, slots=True)
class Books:
    """The record of loads, written and read in one session."""

    session: Session

    def make(self) -> None:
        """Make the table, outside of transactions. If two processes do so at once, there are two
        rows to lock, which does no harm."""
        self._run(
            statement(
                "create table if not exists {records} (seq NUMBER(38,0), run VARCHAR,"
                " table_name VARCHAR, source VARCHAR, relation VARCHAR, mark VARCHAR,"
                " arrived NUMBER(38,0), read_rows NUMBER(38,0), total NUMBER(38,0),"
                " watermark VARCHAR, column_names VARCHAR, replaced BOOLEAN,"
                " loaded_at TIMESTAMP_TZ(9))",
                records=_RECORDS,
            )
        )
        self._run(statement("create table if not exists {lock} (n NUMBER(38,0))", lock=_LOCK))
        if not self._run(statement("select n from {lock} limit 1", lock=_LOCK)):
            self._run(statement("insert into {lock} (n) values (0)", lock=_LOCK))

    @property
    def are_there(self) -> bool:
        text = statement("describe table {records}", records=_RECORDS)
        return self.session.run_if_there(text, doing="reading the records") is not None

    def lock(self) -> None:
        """Lock until the transaction ends. Comes last, so loads of other tables do not wait."""
        self._run(statement("update {lock} set n = n + 1", lock=_LOCK))

    def loaded(self, run: str, export: Export) -> Loaded | None:
        query = statement(
            "select run, table_name, arrived, read_rows, total, watermark,"
            " seq = (select max(seq) from {records} where table_name = ?)"
            " from {records} where run = ? and table_name = ? and source = ? and relation = ?",
            records=_RECORDS,
        )
        rows = self._run(query, [export.table, *_of(run, export)])
        return Loaded(*rows[0]) if rows else None

    def has_run(self, run: str, source: str, when: str) -> bool:
        query = statement(
            "select 1 from {records}"
            " where run = ? and table_name = ? and source = ? and relation = ?",
            records=_RECORDS,
        )
        return bool(self._run(query, [run, OF_RUN, source, when]))

    def loaded_columns(self, export: Export) -> frozenset[str]:
        query = statement(
            "select distinct column_names from {records}"
            " where table_name = ? and source = ? and relation = ?",
            records=_RECORDS,
        )
        rows = self._run(query, [export.table, export.source, export.name])
        return loaded_names(one for (one,) in rows)

    def watermark(self, export: Export) -> str:
        # a later load replaced all rows of the table
        query = statement(
            "select watermark from {records} where table_name = ? and mark = ?"
            " and watermark <> '' and seq >= coalesce("
            "  (select max(seq) from {records} where table_name = ? and mark <> ?"
            "   and (replaced or arrived = total)), 0)"
            " order by seq desc limit 1",
            records=_RECORDS,
        )
        rows = self._run(query, [export.table, export.mark] * 2)
        return str(rows[0][0]) if rows else ""

    def add(self, words: Sequence[Value]) -> None:
        """Run, table, source, relation, mark, rows that arrived and that were read, the table's
        rows, watermark, columns, and whether earlier rows are gone. The lock is held."""
        self._run(
            statement(
                "insert into {records} (seq, run, table_name, source, relation, mark, arrived,"
                " read_rows, total, watermark, column_names, replaced, loaded_at)"
                " select coalesce(max(seq), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                " current_timestamp() from {records}",
                records=_RECORDS,
            ),
            words,
        )

    def _run(self, text: str, values: Sequence[Value] = ()) -> Fetched:
        return self.session.run(text, values, doing="the record of loads")
