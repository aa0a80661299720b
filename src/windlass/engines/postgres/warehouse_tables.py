"""The tables of a PostgreSQL warehouse, in one session: their definitions, and how rows are loaded.

Statements go through `run`, because a Parquet load uses an ADBC session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.fitting import fit, holds_all
from windlass.engines.loads import (
    OF_RUN,
    RECORDS,
    check_arrived,
    check_fit,
    column_names,
    loaded_names,
)
from windlass.engines.postgres.loaded_types import type_of
from windlass.engines.postgres.warehouse_merging import Cast, Fetched, Merge, Run
from windlass.model.export import Export, Loaded, Manifest
from windlass.model.fit import Fit, TableColumn
from windlass.model.report import Problem

STAGED = "windlass_new"  # the temporary table that files are read into


@dataclass(frozen=True, slots=True)
class Tables:
    """Those of one schema."""

    run: Run
    schema: str

    def name(self, table: str) -> sql.Identifier:
        return sql.Identifier(self.schema, table)

    def columns(self, table: str) -> dict[str, TableColumn]:
        rows = self.run(
            sql.SQL(
                "select attname, format_type(atttypid, atttypmod),"
                " attnotnull and not atthasdef and attidentity = '' and attgenerated = ''"
                " from pg_attribute a join pg_class c on c.oid = attrelid"
                " join pg_namespace n on n.oid = relnamespace"
                " where nspname = {} and relname = {} and attnum > 0 and not attisdropped"
            ).format(sql.Literal(self.schema), sql.Literal(table))
        )
        return {str(name): TableColumn(str(type_), bool(needed)) for name, type_, needed in rows}

    def fit(self, export: Export, faults: Sequence[Problem] = ()) -> Fit:
        """How the existing table fits."""
        types = [type_of(column, export.engine) for column in export.columns]
        loaded = self._loaded_columns(export)
        there = self.columns(export.table)
        return fit(export, types, there, holds_all, loaded=loaded, faults=faults)

    def _loaded_columns(self, export: Export) -> frozenset[str]:
        if not self.columns(RECORDS):
            return frozenset()
        words = (export.table, export.source, export.name)
        rows = self.run(
            sql.SQL(
                "select distinct columns from {} where (table_name, source, relation) = ({})"
            ).format(self.name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words)))
        )
        return loaded_names(one for (one,) in rows)

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
                "   and n.mark <> l.mark and (n.replaced or n.rows = n.total))"
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
        """Take a lock until the transaction ends: creating the same table twice at once would
        conflict in the catalog."""
        words = (sql.Literal(RECORDS), sql.Literal(f"{self.schema}.{table}"))
        self.run(sql.SQL("select pg_advisory_xact_lock(hashtext({}), hashtext({}))").format(*words))

    def create_records(self) -> None:
        self.run(
            sql.SQL(
                "create table if not exists {} (number bigint generated always as identity,"
                " run text, table_name text, source text, relation text, mark text,"
                " rows bigint, read_rows bigint, total bigint, watermark text, columns text,"
                " replaced boolean,"
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
        lock = "lock table {} in share row exclusive mode"
        self.run(sql.SQL(lock).format(self.name(export.table)))
        check_fit(self.fit(export))

    def fill(self, export: Export, manifest: Manifest, cast: Cast) -> int:
        """How many of the rows have arrived."""
        table, staged = self.name(export.table), sql.Identifier("pg_temp", STAGED)
        names = sql.SQL(", ").join(sql.Identifier(one.name) for one in export.columns)
        fit = self.fit(export)
        if export.disposition == "truncate":
            self.run(sql.SQL("truncate {}").format(table))
        self._alter(export, fit)
        if export.key:
            fixed = self._identities(export.table)
            counted = Merge(self.run, export, table, staged, cast, fixed).apply()
        else:
            values = sql.SQL(", ").join(cast(one) for one in export.columns)
            # counted on insertion, because a trigger may discard rows
            insert = sql.SQL(
                "with arrived as (insert into {} ({}) overriding system value"
                " select {} from {} new returning 1) select count(*) from arrived"
            )
            counted = int(self.run(insert.format(table, names, values, staged))[0][0])
        check_arrived(export, manifest.rows, counted)
        return counted

    def record(self, export: Export, manifest: Manifest, counted: int) -> None:
        words = (manifest.run, export.table, export.source, export.name, manifest.mark, counted,
                 manifest.rows, self.count(export.table), manifest.watermark,
                 column_names(export.columns), export.disposition == "truncate")  # fmt: skip
        self._add_record(words)

    def has_run(self, run: str, source: str, when: str) -> bool:
        """Whether statements that run once per run were run already. Waits for other transactions
        that are running them."""
        self.hold(OF_RUN)
        words = (run, OF_RUN, source, when)
        query = sql.SQL("select 1 from {} where (run, table_name, source, relation) = ({})")
        some = sql.SQL(", ").join(map(sql.Literal, words))
        return bool(self.run(query.format(self.name(RECORDS), some)))

    def record_hooks(self, run: str, source: str, when: str) -> None:
        self._add_record((run, OF_RUN, source, when, "", 0, 0, 0, "", "[]", False))

    def _add_record(self, words: Sequence[str | int]) -> None:
        self.run(
            sql.SQL(
                "insert into {} (run, table_name, source, relation, mark, rows, read_rows, total,"
                " watermark, columns, replaced) values ({})"
            ).format(self.name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words)))
        )

    def _alter(self, export: Export, fit: Fit) -> None:
        """Change the table's columns to those of the export. If columns are replaced, the table is
        empty: a new type keeps no values; the indexes and constraints of the column stay."""
        table = self.name(export.table)
        for name, type_ in fit.added.items():
            add = sql.SQL("alter table {} add column {} {}")
            self.run(add.format(table, sql.Identifier(name), sql.SQL(type_)))
        for name, (_, type_) in fit.retyped.items():
            using = sql.SQL("null" if export.rules.schema == "replace" else "{0}").format(
                sql.Identifier(name)
            )
            change = sql.SQL("alter table {} alter column {} type {} using {}::{}")
            self.run(
                change.format(table, sql.Identifier(name), sql.SQL(type_), using, sql.SQL(type_))
            )
        for name in fit.dropped:
            drop = sql.SQL("alter table {} drop column {}")
            self.run(drop.format(table, sql.Identifier(name)))

    def _identities(self, table: str) -> frozenset[str]:
        """Columns that are generated always as identity."""
        rows = self.run(
            sql.SQL(
                "select attname from pg_attribute a join pg_class c on c.oid = attrelid"
                " join pg_namespace n on n.oid = relnamespace"
                " where nspname = {} and relname = {} and attidentity = 'a' and attnum > 0"
            ).format(sql.Literal(self.schema), sql.Literal(table))
        )
        return frozenset(str(name) for (name,) in rows)
