"""A DuckDB file as the warehouse. Other processes cannot open it while rows are being loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import duckdb
from psycopg import sql

from windlass.engines.duckdb.altering import alter
from windlass.engines.duckdb.facts import FACTS
from windlass.engines.duckdb.files import read_list, source_of
from windlass.engines.duckdb.hooks import HookRunner
from windlass.engines.duckdb.kept_file import KeptFile
from windlass.engines.duckdb.memory import Memory
from windlass.engines.duckdb.merging import merge
from windlass.engines.duckdb.opening import file_of
from windlass.engines.duckdb.session import MEMORY_MB, explaining
from windlass.engines.duckdb.types import holds_all, type_of
from windlass.engines.fitting import fit
from windlass.engines.loads import (
    AFTER_LOAD,
    BEFORE_LOAD,
    OF_RUN,
    RECORDS,
    check_arrived,
    check_fit,
    column_names,
    loaded_names,
)
from windlass.engines.objects.store import ObjectStore, fetched
from windlass.engines.paths import cannot_make
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.export import Column, Export, Loaded, Manifest
from windlass.model.fit import Fit, Survey, TableColumn
from windlass.model.report import Problem


class DuckDbTarget:
    """Tables in one schema of a DuckDB file."""

    facts = FACTS

    def __init__(self, url: str, schema: str = "") -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL names no file.
        """
        self._path, self._schema = file_of(url, "warehouse"), schema or "main"
        path = self._path
        self.place = f"DuckDB {path}"
        self._file, self._memory = KeptFile(path), Memory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._file.close()

    def cancel(self) -> None:
        self._file.cancel()

    @contextmanager
    def _session(self, doing: str) -> Iterator[Any]:
        """Raises:
        ConnectionLost: another process has the file open; retryable.
        """
        with (
            explaining(self.place, doing),
            self._file.session(self._memory.settings_of_export) as connection,
        ):
            yield connection

    @property
    def _is_there(self) -> bool:
        """Whether the file exists. A load creates it; reading does not."""
        return Path(self._path).exists()

    def survey(self, exports: Sequence[Export]) -> Survey:
        if not self._is_there:
            fault = cannot_make(Path(self._path))
            hint = "check the path, and the folder's owner and mode"
            return Survey((Problem(self.place, fault, hint),) if fault else ())
        try:
            with self._session("opening it") as connection:
                return Survey(fits={
                    one.name: self._fit(connection, one)
                    for one in exports
                    if self._columns(connection, one.table)
                })  # fmt: skip
        except (WindlassError, OSError) as error:
            if isinstance(error, ConnectionLost):
                raise
            return Survey((Problem(self.place, str(error), getattr(error, "hint", "")),))

    def _fit(self, connection: Any, export: Export) -> Fit:
        """How the existing table fits."""
        types = [_written(connection, column) for column in export.columns]
        there = self._columns(connection, export.table)
        loaded = self._loaded_columns(connection, export)
        return fit(export, types, there, holds_all, loaded=loaded, by_case=False)

    def _loaded_columns(self, connection: Any, export: Export) -> frozenset[str]:
        if not self._columns(connection, RECORDS):
            return frozenset()
        rows = connection.execute(
            statement(
                "select distinct columns from {records}"
                " where table_name = ? and source = ? and relation = ?",
                records=self._records,
            ),
            [export.table, export.source, export.name],
        ).fetchall()
        return loaded_names(one for (one,) in rows)

    def _columns(self, connection: Any, table: str) -> dict[str, TableColumn]:
        """The table's columns; empty if there is no such table. A missing table ends the
        transaction, so create it first inside one. `information_schema` takes six times as long."""
        query = 'select name, type, "notnull" and dflt_value is null from pragma_table_info(?)'
        path = names(self._schema, table).as_string(None)
        try:
            rows = connection.execute(query, [path]).fetchall()
        except duckdb.CatalogException:
            return {}
        return {name: TableColumn(type_, needed) for name, type_, needed in rows}

    def watermark(self, export: Export) -> str:
        if not self._is_there:
            return ""
        with self._session("reading the watermark") as connection:
            if not (
                self._columns(connection, RECORDS) and self._columns(connection, export.table)
            ) or not _count(connection, names(self._schema, export.table)):
                return ""
            # a later load of all the table's rows: the earlier rows are gone
            row = connection.execute(
                statement(
                    "select watermark from {records} as l where table_name = ? and mark = ?"
                    " and watermark <> '' and not exists (select 1 from {records} as n"
                    "   where n.table_name = l.table_name and n.number > l.number"
                    "   and n.mark <> l.mark and (n.replaced or n.rows = n.total))"
                    " order by number desc limit 1",
                    records=self._records,
                ),
                [export.table, export.mark],
            ).fetchone()
            return str(row[0]) if row else ""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        if not self._is_there:
            return None
        with self._session("reading its records") as connection:
            return self._loaded(connection, run, export)

    def _loaded(self, connection: Any, run: str, export: Export) -> Loaded | None:
        if not self._columns(connection, RECORDS):
            return None
        row = connection.execute(
            statement(
                "select l.run, l.table_name, l.rows, l.read_rows, l.total, l.watermark,"
                " not exists (select 1 from {records} as n"
                "   where n.table_name = l.table_name and n.number > l.number)"
                " from {records} as l"
                " where run = ? and table_name = ? and source = ? and relation = ?",
                records=self._records,
            ),
            [run, export.table, export.source, export.name],
        ).fetchone()
        return Loaded(*row) if row else None

    def assets(self, table: str) -> list[dict[str, str]]:
        return [{"uri": f"duckdb:///{quote(self._path.lstrip('/'))}/{self._schema}/{table}"}]

    def clean_up(self, export: Export, run: str) -> None:
        """Nothing to do: a load is one transaction."""

    def count(self, table: str) -> int:
        with self._session(f"counting {table}") as connection:
            return _count(connection, names(self._schema, table))

    @property
    def _records(self) -> sql.Identifier:
        return names(self._schema, RECORDS)

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        with ExitStack() as stack:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            paths = [str(stack.enter_context(fetched(store, one.path))) for one in manifest.files]
            return self._memory.enough(lambda: self._load(export, manifest, paths), MEMORY_MB)

    def _load(self, export: Export, manifest: Manifest, paths: list[str]) -> Loaded:
        with self._session(f"loading {export.table}") as connection:
            done = self._loaded(connection, manifest.run, export)
            if done:
                return done
            connection.execute("begin")
            self._make_records(connection)
            hooks, table = export.rules.hooks, names(self._schema, export.table)
            apply = HookRunner(connection, self.place, self._schema).apply
            apply(BEFORE_LOAD, export.name, hooks.before, table.as_string(None))
            self._make(connection, export)
            arrived = self._fill(connection, export, manifest, paths)
            apply(AFTER_LOAD, export.name, hooks.after, table.as_string(None))
            self._record(connection, export, manifest, arrived)
            connection.execute("commit")
            found = self._loaded(connection, manifest.run, export)
            assert found is not None
            return replace(found, is_new=True)

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        with self._session(f"running {when}") as connection:
            connection.execute("begin")
            self._make_records(connection)
            words = [run, OF_RUN, source, when]
            done = statement(
                "select 1 from {records}"
                " where run = ? and table_name = ? and source = ? and relation = ?",
                records=self._records,
            )
            is_new = connection.execute(done, words).fetchone() is None
            if is_new:
                HookRunner(connection, self.place, self._schema).apply(when, f"run {run}", texts)
                self._add_record(connection, [*words, "", 0, 0, 0, "", "[]", False])
            connection.execute("commit")
            return is_new

    def _make_records(self, connection: Any) -> None:
        connection.execute(statement("create schema if not exists {s}", s=names(self._schema)))
        connection.execute(
            statement(
                "create table if not exists {records} (number bigint, run text,"
                " table_name text, source text, relation text, mark text, rows bigint,"
                " read_rows bigint, total bigint, watermark text, columns text, replaced boolean,"
                " loaded_at timestamptz default current_timestamp,"
                " unique (run, table_name, source, relation))",
                records=self._records,
            )
        )

    def _make(self, connection: Any, export: Export) -> None:
        """Create the table if it is missing, otherwise change its columns.

        Raises:
            WindlassError: the table does not fit (any more).
        """
        columns = listed(
            sql.SQL("{} {}").format(names(one.name), verbatim(type_of(one)))
            for one in export.columns
        )
        table = names(self._schema, export.table)
        connection.execute(
            statement(
                "create table if not exists {table} ({columns})", table=table, columns=columns
            )
        )
        check_fit(self._fit(connection, export))

    def _fill(self, connection: Any, export: Export, manifest: Manifest, paths: list[str]) -> int:
        """How many of the rows have arrived."""
        table = names(self._schema, export.table)
        columns = listed(names(one.name) for one in export.columns)
        fit = self._fit(connection, export)
        if export.disposition == "truncate":
            connection.execute(statement("delete from {table}", table=table))
        alter(connection, export, table, fit)
        before = _count(connection, table)
        parts = {
            "table": table,
            "columns": columns,
            "values": read_list(export.columns, manifest),
            "source": verbatim(source_of(manifest, self._memory.line_mb)),
        }
        if export.key:
            connection.execute(
                statement("create temp table windlass_new as select {values} from {source}",
                          values=parts["values"], source=parts["source"]), [paths]
            )  # fmt: skip
            arrived = merge(connection, export, table, names("temp", "windlass_new"))
            connection.execute("drop table windlass_new")
        else:
            connection.execute(
                statement("insert into {table} ({columns}) select {values} from {source}", **parts),
                [paths],
            )
            arrived = _count(connection, table) - before
        check_arrived(export, manifest.rows, arrived)
        return arrived

    def _record(self, connection: Any, export: Export, manifest: Manifest, arrived: int) -> None:
        total = _count(connection, names(self._schema, export.table))
        self._add_record(
            connection,
            [manifest.run, export.table, export.source, export.name, manifest.mark,
             arrived, manifest.rows, total, manifest.watermark, column_names(export.columns),
             export.disposition == "truncate"],
        )  # fmt: skip

    def _add_record(self, connection: Any, words: list[Any]) -> None:
        connection.execute(
            statement(
                "insert into {records} (number, run, table_name, source, relation, mark, rows,"
                " read_rows, total, watermark, columns, replaced)"
                " select coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
                " from {records}",
                records=self._records,
            ),
            words,
        )


def _written(connection: Any, column: Column) -> str:
    """The type of a column as DuckDB writes it, which quotes fields only where it must."""
    if not column.inside:
        return type_of(column)
    query = statement("select typeof(null::{type})", type=verbatim(type_of(column)))
    return str(connection.execute(query).fetchone()[0])


def _count(connection: Any, table: sql.Composable) -> int:
    query = statement("select count(*) from {table}", table=table)
    return int(connection.execute(query).fetchone()[0])
