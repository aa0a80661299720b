"""Brings staged rows into a table of Snowflake, in an open transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.loads import ambiguous, check_arrived, not_unique, without_key
from windlass.engines.snowflake.names import named, stored
from windlass.engines.snowflake.session import Fetched, Session
from windlass.engines.snowflake.staging import Staged
from windlass.engines.snowflake.types import type_of, value_of
from windlass.engines.statements import each, listed, statement
from windlass.errors import WindlassError
from windlass.model.export import Export
from windlass.model.fit import TableColumn


@dataclass(frozen=True, slots=True)
class Filling:
    """Fills the table of one load. `there` are the table's columns, by their stored names."""

    session: Session
    export: Export
    staged: Staged
    there: Mapping[str, TableColumn]

    def fill(self, read: int) -> int:
        """The number of rows that have arrived, including those that the table had before.

        Raises:
            WindlassError: rows are missing, or the key does not identify one row.
        """
        if self.export.disposition == "truncate":
            self._run(statement("delete from {table}", table=self._table))
        arrived = self._merge() if self.export.key else self._insert()
        check_arrived(self.export, read, arrived)
        return arrived

    def remake(self) -> None:
        """Make the table again with the staged rows, in one statement that commits by itself."""
        columns = [
            sql.SQL("{}::{} as {}").format(self.staged.column(at), sql.SQL(type_of(one)),
                                           named(one.name))
            for at, one in enumerate(self.export.columns)
        ]  # fmt: skip
        text = "create or replace table {table} copy grants as select {columns} from {staged}"
        parts = {"table": self._table, "staged": self.staged.table}
        self._run(statement(text, columns=listed(columns), **parts))

    @property
    def _table(self) -> sql.Identifier:
        return named(self.export.table)

    @property
    def _columns(self) -> list[sql.Identifier]:
        return [named(one.name) for one in self.export.columns]

    @property
    def _rows(self) -> sql.Composable:
        """The staged rows, with the values that the table's columns take."""
        pairs = [(self.staged.column(at), one) for at, one in enumerate(self.export.columns)]
        values = [
            (value_of(name, one, self.there[stored(one.name)].type), name) for name, one in pairs
        ]
        if all(value is name for value, name in values):
            return self.staged.table
        columns = listed(sql.SQL("{} as {}").format(*pair) for pair in values)
        return sql.SQL("(select {} from {})").format(columns, self.staged.table)

    @property
    def _values(self) -> list[sql.Composable]:
        """The values of the columns, from rows that are named `new`."""
        columns = range(len(self.export.columns))
        return [sql.SQL("new.{}").format(self.staged.column(at)) for at in columns]

    def _insert(self) -> int:
        text = "insert into {table} ({columns}) select {values} from {staged} as new"
        return self._changed(
            statement(
                text,
                table=self._table,
                columns=listed(self._columns),
                values=listed(self._values),
                staged=self._rows,
            )
        )

    def _merge(self) -> int:
        """Rows with a known key are updated, or kept where rows are only appended; others are
        inserted. Sets exported columns only, and deletes nothing."""
        for query, refusal in self._refusals:
            if self._run(query):
                raise refusal
        pairs = zip(self.export.columns, self._columns, self._values, strict=True)
        changes = [
            sql.SQL("old.{} = {}").format(name, value)
            for one, name, value in pairs
            if one.name not in self.export.key
        ]
        changed = changes if self.export.updates else []
        text = "merge into {table} as old using {staged} as new on {same}"
        text += " when matched then update set {changes}" if changed else ""
        text += " when not matched then insert ({columns}) values ({values})"
        parts = {"table": self._table, "staged": self._rows, "same": self._same}
        counted = self._changed(
            statement(
                text,
                **parts,
                changes=listed(changed),
                columns=listed(self._columns),
                values=listed(self._values),
            )
        )
        if changed:
            return counted
        text = (
            "select count(*) from {staged} as new"
            " where exists (select 1 from {table} as old where {same})"
        )
        return int(self._run(statement(text, **parts))[0][0])

    @property
    def _keys(self) -> list[tuple[sql.Identifier, sql.Identifier]]:
        """The names that the key has in the table and among the staged rows."""
        at = {one.name: number for number, one in enumerate(self.export.columns)}
        return [(named(one), self.staged.column(at[one])) for one in self.export.key]

    @property
    def _same(self) -> sql.Composed:
        return listed(
            (sql.SQL("old.{} = new.{}").format(old, new) for old, new in self._keys), " and "
        )

    @property
    def _refusals(self) -> Iterator[tuple[str, WindlassError]]:
        """Queries that find a row where the key does not identify one, each with its error."""
        keys, staged = [new for _, new in self._keys], self.staged.table
        twice = "select 1 from {staged} group by {keys} having count(*) > 1 limit 1"
        yield statement(twice, staged=staged, keys=listed(keys)), not_unique(self.export)
        without = "select 1 from {staged} where {missing} limit 1"
        missing = each("{} is null", keys, " or ")
        yield statement(without, staged=staged, missing=missing), without_key(self.export)
        if not self.export.updates:
            return
        several = (
            "select 1 from {table} as old join {staged} as new on {same}"
            " group by {keys} having count(*) > 1 limit 1"
        )
        old = each("old.{}", [old for old, _ in self._keys])
        parts = {"table": self._table, "staged": staged, "same": self._same}
        yield statement(several, keys=old, **parts), ambiguous(self.export)

    def _run(self, text: str) -> Fetched:
        return self.session.run(text, doing=f"loading {self.export.table}")

    def _changed(self, text: str) -> int:
        """The rows that an INSERT or a MERGE has inserted and updated, each in a column."""
        return sum(int(one) for one in self._run(text)[0])
