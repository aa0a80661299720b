"""Merges staged rows into a table of a PostgreSQL warehouse, whose lock the caller holds: rows with
a known key are updated, or kept where rows are only appended; others are inserted. Needs no unique
constraint."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.loads import ambiguous, not_unique, without_key
from windlass.model.export import Column, Export

Fetched = list[tuple[Any, ...]]
Run = Callable[[sql.SQL | sql.Composed], Fetched]
Cast = Callable[[Column], sql.Composable]


@dataclass(frozen=True, slots=True)
class Merge:
    """`cast` converts a staged value to the table's type. `fixed` are columns that an UPDATE cannot
    set, because they are generated always as identity."""

    run: Run
    export: Export
    table: sql.Identifier
    staged: sql.Identifier
    cast: Cast
    fixed: Collection[str] = ()

    def apply(self) -> int:
        """Merge; returns how many of the new rows the table has then, including those that it had
        before. Sets only exported columns and deletes nothing, so no foreign key cascades.

        Raises:
            WindlassError: the key does not identify one row, of the new rows or of the table's.
        """
        self._check_keys()
        known = self._update() if self.export.updates else self._count_known()
        return known + self._insert()

    @property
    def _keys(self) -> list[Column]:
        by_name = {one.name: one for one in self.export.columns}
        return [by_name[key] for key in self.export.key]

    @property
    def _same(self) -> sql.Composable:
        return sql.SQL(" and ").join(
            sql.SQL("old.{} = {}").format(sql.Identifier(key.name), self.cast(key))
            for key in self._keys
        )

    def _check_keys(self) -> None:
        keys = [sql.Identifier(key) for key in self.export.key]
        new = sql.SQL(", ").join(map(self.cast, self._keys))
        twice = sql.SQL("select 1 from {} new group by {} having count(*) > 1 limit 1")
        if self.run(twice.format(self.staged, new)):
            raise not_unique(self.export)
        missing = sql.SQL(" or ").join(sql.SQL("new.{} is null").format(key) for key in keys)
        without = sql.SQL("select 1 from {} new where {} limit 1")
        if self.run(without.format(self.staged, missing)):
            raise without_key(self.export)
        if not self.export.updates:
            return
        old = sql.SQL(", ").join(sql.SQL("old.{}").format(key) for key in keys)
        several = sql.SQL(
            "select 1 from {} old join {} new on {} group by {} having count(*) > 1 limit 1"
        )
        if self.run(several.format(self.table, self.staged, self._same, old)):
            raise ambiguous(self.export)

    def _count_known(self) -> int:
        count = sql.SQL("select count(*) from {} new where exists (select from {} old where {})")
        return int(self.run(count.format(self.staged, self.table, self._same))[0][0])

    def _update(self) -> int:
        """Update rows, including the key: 1.00 equals 1.0, but is written differently. Counts row
        by row, because a trigger may discard an update."""
        changes = [
            sql.SQL("{} = {}").format(sql.Identifier(one.name), self.cast(one))
            for one in self.export.columns
            if one.name not in self.fixed
        ]
        if not changes:
            return self._count_known()
        update = sql.SQL(
            "with changed as (update {} old set {} from {} new where {} returning 1)"
            " select count(*) from changed"
        )
        parts = (self.table, sql.SQL(", ").join(changes), self.staged, self._same)
        return int(self.run(update.format(*parts))[0][0])

    def _insert(self) -> int:
        names = sql.SQL(", ").join(sql.Identifier(one.name) for one in self.export.columns)
        values = sql.SQL(", ").join(map(self.cast, self.export.columns))
        insert = sql.SQL(
            "with arrived as (insert into {0} ({1}) overriding system value select {2} from {3} new"
            " where not exists (select from {0} old where {4}) returning 1)"
            " select count(*) from arrived"
        )
        query = insert.format(self.table, names, values, self.staged, self._same)
        return int(self.run(query)[0][0])
