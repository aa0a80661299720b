"""A DuckDB file as the warehouse. It is open only while something is done: others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import duckdb

from windlass.engines.objects.store import ObjectStore
from windlass.engines.warehouse.base import RECORDS, misfits, not_unique
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.export import Column, Export, Kind, Loaded, Manifest
from windlass.model.report import Problem

_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INT16: "SMALLINT",
    Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT",
    Kind.FLOAT32: "FLOAT",
    Kind.FLOAT64: "DOUBLE",
    Kind.TEXT: "VARCHAR",
    Kind.JSON: "JSON",
    Kind.UUID: "UUID",
    Kind.BYTES: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.INSTANT: "TIMESTAMP WITH TIME ZONE",
}
MEMORY = "128MB"  # what a load may take, beside the rest of the process; it spills to disk
_ONE_AT_A_TIME = threading.Lock()  # of a process; another process finds the file locked


def type_of(column: Column) -> str:
    if column.kind is Kind.DECIMAL:
        return f"DECIMAL({column.precision},{column.scale})"
    return _TYPES[column.kind] + ("[]" if column.is_list else "")


def quoted(*names: str) -> str:
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names)


class DuckDb:
    """Tables in one schema of a DuckDB file."""

    def __init__(self, path: str, schema: str = "") -> None:
        self._path, self._schema = path, schema or "main"
        self.place = f"DuckDB {path}"
        self._open: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        """Nothing is open between calls."""

    def cancel(self) -> None:
        connection = self._open
        if connection is not None:
            connection.interrupt()

    @contextmanager
    def _session(self, doing: str) -> Iterator[Any]:
        """Raises:
        ConnectionLost: another process has the file open; it can be tried again.
        """
        with _ONE_AT_A_TIME:
            try:
                with duckdb.connect(self._path, config={"memory_limit": MEMORY}) as connection:
                    self._open = connection
                    connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
                    yield connection
            except duckdb.IOException as error:
                said = _first_line(error)
                if "lock" in said:
                    raise ConnectionLost(
                        f"{self.place} is open in another process", hint="wait until it is closed"
                    ) from error
                raise WindlassError(f"{self.place}: {doing}: {said}", hint="see the file") from error
            except duckdb.Error as error:
                raise WindlassError(f"{self.place}: {doing}: {_first_line(error)}") from error
            finally:
                self._open = None

    def problems(self, exports: Sequence[Export]) -> list[Problem]:
        try:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            with self._session("opening it") as connection:
                found = []
                for one in exports:
                    types = [type_of(column) for column in one.columns]
                    there = self._columns(connection, one.table)
                    if there:
                        found += misfits(one.table, one.columns, types, there)
                return found
        except (WindlassError, OSError) as error:
            if isinstance(error, ConnectionLost):
                raise
            return [Problem(self.place, str(error), getattr(error, "hint", ""))]

    def _columns(self, connection: Any, table: str) -> dict[str, tuple[str, bool]]:
        rows = connection.execute(
            "select column_name, data_type, is_nullable = 'NO' and column_default is null"
            " from information_schema.columns where table_schema = ? and table_name = ?",
            [self._schema, table],
        ).fetchall()
        return {name: (type_, needed) for name, type_, needed in rows}

    def watermark(self, table: str) -> str:
        with self._session("reading the watermark") as connection:
            if not self._columns(connection, RECORDS):
                return ""
            row = connection.execute(
                f"select watermark from {self._records} where table_name = ? and watermark <> ''"  # noqa: S608
                " order by number desc limit 1",
                [table],
            ).fetchone()
            return str(row[0]) if row else ""

    def loaded(self, run: str, table: str) -> Loaded | None:
        with self._session("reading its records") as connection:
            return self._loaded(connection, run, table)

    def _loaded(self, connection: Any, run: str, table: str) -> Loaded | None:
        if not self._columns(connection, RECORDS):
            return None
        row = connection.execute(
            "select l.run, l.table_name, l.rows, l.total, l.watermark,"
            f" not exists (select 1 from {self._records} as n"  # noqa: S608
            "   where n.table_name = l.table_name and n.number > l.number)"
            f" from {self._records} as l where run = ? and table_name = ?",
            [run, table],
        ).fetchone()
        return Loaded(*row) if row else None

    def count(self, table: str) -> int:
        with self._session(f"counting {table}") as connection:
            return self._count(connection, table)

    def _count(self, connection: Any, table: str) -> int:
        query = f"select count(*) from {quoted(self._schema, table)}"  # noqa: S608
        return int(connection.execute(query).fetchone()[0])

    @property
    def _records(self) -> str:
        return quoted(self._schema, RECORDS)

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        with ExitStack() as stack:
            paths = [str(stack.enter_context(store.local(one.path))) for one in manifest.files]
            with self._session(f"loading {export.table}") as connection:
                done = self._loaded(connection, manifest.run, export.table)
                if done:
                    return done
                connection.execute("begin")
                self._fill(connection, export, manifest, paths)
                connection.execute("commit")
                found = self._loaded(connection, manifest.run, export.table)
                assert found is not None
                return found

    def _fill(self, connection: Any, export: Export, manifest: Manifest, paths: list[str]) -> None:
        table = quoted(self._schema, export.table)
        names = ", ".join(quoted(one.name) for one in export.columns)
        made = ", ".join(f"{quoted(one.name)} {type_of(one)}" for one in export.columns)
        connection.execute(f"create schema if not exists {quoted(self._schema)}")
        connection.execute(
            f"create table if not exists {self._records} (number bigint, run text,"
            " table_name text, rows bigint, total bigint, watermark text,"
            " loaded_at timestamptz default current_timestamp, unique (run, table_name))"
        )
        connection.execute(f"create table if not exists {table} ({made})")
        there = self._columns(connection, export.table)
        wrong = misfits(export.table, export.columns, list(map(type_of, export.columns)), there)
        if wrong:  # since it was looked at first
            raise WindlassError(str(wrong[0]))
        rows = f"select {_read_list(export.columns, manifest)} from {_source(manifest)}"  # noqa: S608
        if export.disposition == "merge":
            connection.execute(f"create temp table windlass_new as {rows}", [paths])
            self._merge(connection, export, table)
            rows = f"select {names} from windlass_new"  # noqa: S608
            connection.execute(f"insert into {table} ({names}) {rows}")  # noqa: S608
            connection.execute("drop table windlass_new")
        else:
            if export.disposition == "truncate":
                connection.execute(f"delete from {table}")  # noqa: S608
            connection.execute(f"insert into {table} ({names}) {rows}", [paths])  # noqa: S608
        total = self._count(connection, export.table)
        connection.execute(
            f"insert into {self._records} (number, run, table_name, rows, total, watermark)"  # noqa: S608
            f" select coalesce(max(number), 0) + 1, ?, ?, ?, ?, ? from {self._records}",
            [manifest.run, export.table, manifest.rows, total, manifest.watermark],
        )

    def _merge(self, connection: Any, export: Export, table: str) -> None:
        """Take out what the new rows replace."""
        keys = ", ".join(quoted(one) for one in export.key)
        twice = connection.execute(
            f"select 1 from windlass_new group by {keys} having count(*) > 1 limit 1"  # noqa: S608
        ).fetchone()
        if twice:
            raise not_unique(export)
        same = " and ".join(f"old.{quoted(k)} = new.{quoted(k)}" for k in export.key)
        connection.execute(f"delete from {table} as old using windlass_new as new where {same}")  # noqa: S608


def _source(manifest: Manifest) -> str:
    if manifest.format == "parquet":
        return "read_parquet(?)"
    # every value as it stands: "" is an empty text, nothing at all is NULL
    return "read_csv(?, header = true, all_varchar = true, nullstr = '', allow_quoted_nulls = false, delim = ',', quote = '\"', escape = '\"', auto_detect = false, columns = {columns}, max_line_size = 268435456)".format(  # noqa: E501
        columns="{"
        + ", ".join(f"'{at}': 'VARCHAR'" for at in range(len(manifest.columns)))
        + "}"
    )


def _read_list(columns: Sequence[Column], manifest: Manifest) -> str:
    """The columns as read, by place in CSV: names there are for people."""
    if manifest.format == "parquet":
        return ", ".join(f"{quoted(one.name)}::{type_of(one)}" for one in columns)
    return ", ".join(_from_text(one, quoted(str(at))) for at, one in enumerate(columns))


def _from_text(column: Column, name: str) -> str:
    """PostgreSQL's text into a value."""
    if column.kind is Kind.BYTES:
        return f"unhex(substr({name}, 3))"
    if column.is_list and column.kind is Kind.TEXT:
        raise WindlassError(
            f"column {column.name} is a list of texts, which DuckDB cannot read from CSV",
            hint="export Parquet, or give the relation `text: [...]` with its name",
        )
    if column.is_list:
        return f"translate({name}, '{{}}', '[]')::{type_of(column)}"
    return f"{name}::{type_of(column)}"


def _first_line(error: BaseException) -> str:
    """Without the values that DuckDB quotes."""
    import re

    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"(string|value|key:) (['\"]).*\2", r"\1 …", line, flags=re.IGNORECASE)
