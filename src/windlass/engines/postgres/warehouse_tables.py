"""The tables of a PostgreSQL warehouse, in one session: their definitions, and loading rows.

Statements go through `run`, because a Parquet load uses an ADBC session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.loads import (
    RECORDS,
    check_arrived,
    misfits,
    not_unique,
    without_key,
)
from windlass.engines.postgres.loaded_types import type_of
from windlass.errors import WindlassError
from windlass.model.export import Column, Export, Loaded, Manifest

Fetched = list[tuple[Any, ...]]
Run = Callable[[sql.SQL | sql.Composed], Fetched]
Cast = Callable[[Column], sql.Composable]
STAGED = "windlass_new"  # the temporary table that files are read into


@dataclass(frozen=True, slots=True)
class Tables:
    """Those of one schema."""

    run: Run
    schema: str

    def name(self, table: str) -> sql.Identifier:
        return sql.Identifier(self.schema, table)

    def columns(self, table: str) -> dict[str, tuple[str, bool]]:
        rows = self.run(
            sql.SQL(
                "select attname, format_type(atttypid, atttypmod),"
                " attnotnull and not atthasdef and attidentity = '' and attgenerated = ''"
                " from pg_attribute a join pg_class c on c.oid = attrelid"
                " join pg_namespace n on n.oid = relnamespace"
                " where nspname = {} and relname = {} and attnum > 0 and not attisdropped"
            ).format(sql.Literal(self.schema), sql.Literal(table))
        )
        return {str(name): (str(type_), bool(needed)) for name, type_, needed in rows}

    def count(self, table: str) -> int:
        return int(self.run(sql.SQL("select count(*) from {}").format(self.name(table)))[0][0])

    def made(self, export: Export) -> Fetched:
        """Whether the table was loaded from this relation before."""
        words = (export.table, export.source, export.name)
        return self.run(
            sql.SQL("select 1 from {} where (table_name, source, relation) = ({}) limit 1").format(
                self.name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words))
            )
        )

    def watermark(self, export: Export) -> str:
        """See `windlass.engines.base.Target.watermark`."""
        if not (self.columns(RECORDS) and self.columns(export.table)):
            return ""
        if not self.run(sql.SQL("select 1 from {} limit 1").format(self.name(export.table))):
            return ""
        # a later load of all the table's rows: the earlier rows are gone
        rows = self.run(
            sql.SQL(
                "select watermark from {0} l where table_name = {1} and mark = {2}"
                " and watermark <> '' and not exists (select from {0} n"
                "   where n.table_name = l.table_name and n.number > l.number"
                "   and n.mark <> l.mark and n.rows = n.total)"
                " order by number desc limit 1"
            ).format(self.name(RECORDS), sql.Literal(export.table), sql.Literal(export.mark))
        )
        return str(rows[0][0]) if rows else ""

    def loaded(self, name: str, export: Export) -> Loaded | None:
        if not self.columns(RECORDS):
            return None
        words = (name, export.table, export.source, export.name)
        rows = self.run(
            sql.SQL(
                "select run, table_name, rows, read_rows, total, watermark,"
                " not exists (select from {0} n"
                "   where n.table_name = l.table_name and n.number > l.number)"
                " from {0} l where (run, table_name, source, relation) = ({1})"
            ).format(self.name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words)))
        )
        return Loaded(*rows[0]) if rows else None

    def hold(self, table: str) -> None:
        """Take a lock until the transaction ends: creating a table twice at once conflicts in the
        catalog."""
        words = (sql.Literal(RECORDS), sql.Literal(f"{self.schema}.{table}"))
        self.run(sql.SQL("select pg_advisory_xact_lock(hashtext({}), hashtext({}))").format(*words))

    def create_records(self) -> None:
        self.run(
            sql.SQL(
                "create table if not exists {} (number bigint generated always as identity,"
                " run text, table_name text, source text, relation text, mark text,"
                " rows bigint, read_rows bigint, total bigint, watermark text,"
                " loaded_at timestamptz default now(),"
                " primary key (run, table_name, source, relation))"
            ).format(self.name(RECORDS))
        )

    def prepare(self, export: Export) -> None:
        """Create what is missing, and lock the table until the transaction ends.

        Raises:
            WindlassError: the table does not fit (any more).
        """
        self.hold(export.table)
        made = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(type_of(one, export.engine)))
            for one in export.columns
        )
        self.run(
            sql.SQL("create table if not exists {} ({})").format(self.name(export.table), made)
        )
        types = [type_of(column, export.engine) for column in export.columns]
        there = self.columns(export.table)
        if wrong := misfits(export.table, export.columns, types, there):
            raise WindlassError(str(wrong[0]))
        lock = "lock table {} in share row exclusive mode"
        self.run(sql.SQL(lock).format(self.name(export.table)))

    def fill(
        self,
        export: Export,
        manifest: Manifest,
        cast: Cast,
    ) -> None:
        table, staged = self.name(export.table), sql.Identifier("pg_temp", STAGED)
        names = sql.SQL(", ").join(sql.Identifier(one.name) for one in export.columns)
        if export.disposition == "truncate":
            self.run(sql.SQL("truncate {}").format(table))
        if export.disposition == "merge":
            self._take_out(export, cast)
        values = sql.SQL(", ").join(cast(one) for one in export.columns)
        # counted on insertion, because a trigger may discard rows
        counted = self.run(
            sql.SQL(
                "with arrived as (insert into {} ({}) select {} from {} new returning 1)"
                " select count(*) from arrived"
            ).format(table, names, values, staged)
        )[0][0]
        check_arrived(export, manifest.rows, counted)
        words = (manifest.run, export.table, export.source, export.name, manifest.mark, counted,
                 manifest.rows, self.count(export.table), manifest.watermark)  # fmt: skip
        self.run(
            sql.SQL(
                "insert into {} (run, table_name, source, relation, mark, rows, read_rows, total,"
                " watermark) values ({})"
            ).format(self.name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words)))
        )

    def _take_out(self, export: Export, cast: Cast) -> None:
        """Delete the rows that the new ones replace."""
        by_name = {one.name: one for one in export.columns}
        staged = sql.Identifier("pg_temp", STAGED)
        keys = sql.SQL(", ").join(cast(by_name[key]) for key in export.key)
        one = sql.SQL("select 1 from {} new group by {} having count(*) > 1 limit 1")
        if self.run(one.format(staged, keys)):
            raise not_unique(export)
        missing = sql.SQL(" or ").join(
            sql.SQL("new.{} is null").format(sql.Identifier(key)) for key in export.key
        )
        if self.run(sql.SQL("select 1 from {} new where {} limit 1").format(staged, missing)):
            raise without_key(export)
        same = sql.SQL(" and ").join(
            sql.SQL("old.{} = {}").format(sql.Identifier(key), cast(by_name[key]))
            for key in export.key
        )
        delete = sql.SQL("delete from {} old using {} new where {}")
        self.run(delete.format(self.name(export.table), staged, same))
