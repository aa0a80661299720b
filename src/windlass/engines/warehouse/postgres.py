"""PostgreSQL as the warehouse: rows, record and watermark in one transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Self

import psycopg
from psycopg import sql

from windlass.engines.objects.store import ObjectStore
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.warehouse.base import (
    RECORDS,
    check_arrived,
    fetched,
    misfits,
    not_unique,
    without_key,
)
from windlass.errors import Refused, WindlassError
from windlass.model.export import Column, Export, Kind, Loaded, Manifest
from windlass.model.report import Problem
from windlass.trust.planted import Room, quoted_pattern, read_others_code, read_planted

Rows = list[tuple[Any, ...]]
Run = Callable[[sql.SQL | sql.Composed], Rows]
# of the source's own types: those that a text is a value of on every server
_NOT_OURS = re.compile(r"[.]|^(reg|record|unknown|any|cstring|money|\"any\")")
_STAGED = "windlass_new"


def type_of(column: Column) -> str:
    """The source's own type, unless that is one which only the source has."""
    if column.mask or _NOT_OURS.search(column.type):
        return "text"
    return column.type


class Postgres:
    """Tables in one schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str = "") -> None:
        self._address = Address.parse("warehouse", url)
        self._schema = schema or "public"
        self.place = str(self._address)
        self._open: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        """Nothing is open between calls."""

    def cancel(self) -> None:
        connection = self._open
        if connection is not None and not connection.closed:
            connection.cancel_safe(timeout=5)

    @contextmanager
    def _session(self, doing: str) -> Iterator[Connection]:
        try:
            with self._address.connect(Role.TARGET, "windlass warehouse") as connection:
                connection.execute("set synchronous_commit = on")
                self._open = connection
                yield connection
        except psycopg.Error as error:
            raise explain(error, doing, side="warehouse") from error
        finally:
            self._open = None

    def problems(self, exports: Sequence[Export]) -> list[Problem]:
        try:
            with self._session("looking at the tables") as connection:
                found = []
                run = _runner(connection)
                for one in exports:
                    there = self._columns(run, one.table)
                    if there:
                        types = [type_of(column) for column in one.columns]
                        found += misfits(one.table, one.columns, types, there)
                return [
                    *found,
                    *self._rights(connection),
                    *self._own(run, exports),
                    *self._planted(connection, exports),
                ]
        except WindlassError as error:
            return [Problem(self.place, str(error), error.hint)]

    def _rights(self, connection: Connection) -> list[Problem]:
        row = connection.execute(
            "select coalesce(has_schema_privilege(oid, 'create'), false) from pg_namespace"
            " where nspname = %s",
            (self._schema,),
        ).fetchone()
        if row is None:
            return [
                Problem(self.place, f"there is no schema {self._schema}", "make it, or see `into`")
            ]
        if not row[0]:
            return [Problem(self.place, f"may not create in {self._schema}", "grant create on it")]
        return []

    def _planted(self, connection: Connection, exports: Sequence[Export]) -> list[Problem]:
        """What other roles have put under the names of the records and of the tables."""
        tables = quoted_pattern(*(one.table for one in exports))
        hint = "drop it, load as its owner, or give `into` another schema"
        return [
            *read_planted(connection, self._records),
            *read_others_code(connection, Room(self._schema, tables, shared=True, hint=hint)),
        ]

    @property
    def _records(self) -> Room:
        only = quoted_pattern(RECORDS)
        hint = f"look at who has changed it; without {RECORDS} the next load loads everything"
        return Room(self._schema, only, only, defaults=("now()",), shared=True, hint=hint)

    def _own(self, run: Run, exports: Sequence[Export]) -> list[Problem]:
        """Relations that would be loaded into tables of the source's own: it is this database.

        A table in another schema is told apart by that; what a view or a query reads is not known,
        so that their tables are to be new, or made by an earlier load.
        """
        if not run(
            sql.SQL("select 1 where has_function_privilege('pg_control_system()', 'execute')")
        ):
            return []  # it cannot be compared with the source
        here = run(
            sql.SQL(
                "select concat_ws('/', system_identifier, current_database())"
                " from pg_control_system()"
            )
        )[0][0]
        found = []
        for one in exports:
            if one.source != here or not self._columns(run, one.table):
                continue
            elsewhere = run(
                sql.SQL(
                    "select 1 from pg_class c join pg_namespace n on n.oid = relnamespace"
                    " where c.oid = to_regclass({}) and relkind in ('r', 'p') and nspname <> {}"
                ).format(sql.Literal(one.relation), sql.Literal(self._schema))
            )
            if elsewhere or (self._columns(run, RECORDS) and self._made(run, one)):
                continue
            name = f"{self._schema}.{one.table}"
            hint = "give `into` another schema, or the relation another `table`"
            found.append(Problem(one.name, f"would be loaded into the source's own {name}", hint))
        return found

    def _made(self, run: Run, export: Export) -> Rows:
        """That the table has been loaded from this relation before."""
        words = (export.table, export.source, export.name)
        return run(
            sql.SQL("select 1 from {} where (table_name, source, relation) = ({}) limit 1").format(
                self._name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words))
            )
        )

    def _columns(self, run: Run, table: str) -> dict[str, tuple[str, bool]]:
        rows = run(
            sql.SQL(
                "select attname, format_type(atttypid, atttypmod),"
                " attnotnull and not atthasdef and attidentity = '' and attgenerated = ''"
                " from pg_attribute a join pg_class c on c.oid = attrelid"
                " join pg_namespace n on n.oid = relnamespace"
                " where nspname = {} and relname = {} and attnum > 0 and not attisdropped"
            ).format(sql.Literal(self._schema), sql.Literal(table))
        )
        return {str(name): (str(type_), bool(needed)) for name, type_, needed in rows}

    def watermark(self, export: Export) -> str:
        with self._session("reading the watermark") as connection:
            run = _runner(connection)
            if not (self._columns(run, RECORDS) and self._columns(run, export.table)):
                return ""
            if not run(sql.SQL("select 1 from {} limit 1").format(self._name(export.table))):
                return ""
            # a later load whose rows were all that the table had: what was there before is gone
            rows = run(
                sql.SQL(
                    "select watermark from {0} l where table_name = {1} and mark = {2}"
                    " and watermark <> '' and not exists (select from {0} n"
                    "   where n.table_name = l.table_name and n.number > l.number"
                    "   and n.mark <> l.mark and n.rows = n.total)"
                    " order by number desc limit 1"
                ).format(self._name(RECORDS), sql.Literal(export.table), sql.Literal(export.mark))
            )
            return str(rows[0][0]) if rows else ""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        with self._session("reading the records") as connection:
            return self._loaded(_runner(connection), run, export)

    def _loaded(self, run: Run, name: str, export: Export) -> Loaded | None:
        if not self._columns(run, RECORDS):
            return None
        words = (name, export.table, export.source, export.name)
        rows = run(
            sql.SQL(
                "select run, table_name, rows, read_rows, total, watermark,"
                " not exists (select from {0} n"
                "   where n.table_name = l.table_name and n.number > l.number)"
                " from {0} l where (run, table_name, source, relation) = ({1})"
            ).format(self._name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words)))
        )
        return Loaded(*rows[0]) if rows else None

    def clean_up(self, export: Export, run: str) -> None:
        """A load is one transaction: it leaves nothing."""

    def count(self, table: str) -> int:
        with self._session(f"counting {table}") as connection:
            return self._count(_runner(connection), table)

    def _count(self, run: Run, table: str) -> int:
        return int(run(sql.SQL("select count(*) from {}").format(self._name(table)))[0][0])

    def _name(self, table: str) -> sql.Identifier:
        return sql.Identifier(self._schema, table)

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        with self._session(f"loading {export.table}") as connection:
            done = self._loaded(_runner(connection), manifest.run, export)
            if done:
                return done
            self._make_records(connection)
            if manifest.format == "csv":
                with connection.transaction():
                    run = _runner(connection)
                    self._prepare(run, export)
                    if not self._loaded(run, manifest.run, export):
                        self._stage_csv(connection, export, manifest, store)
                        self._fill(run, export, manifest, _as_text)
            else:
                self._load_parquet(connection, export, manifest, store)
            found = self._loaded(_runner(connection), manifest.run, export)
            assert found is not None
            return replace(found, is_new=True)

    def _make_records(self, connection: Connection) -> None:
        """By itself, so that loads of other tables do not wait for this one."""
        with connection.transaction():
            run = _runner(connection)
            self._hold(run, RECORDS)
            self._create_records(run)
            if problems := read_planted(connection, self._records):
                raise Refused(problems)

    def _hold(self, run: Run, table: str) -> None:
        """Until the transaction is over: two that make a table at once meet in the catalog."""
        words = (sql.Literal(RECORDS), sql.Literal(f"{self._schema}.{table}"))
        run(sql.SQL("select pg_advisory_xact_lock(hashtext({}), hashtext({}))").format(*words))

    def _create_records(self, run: Run) -> None:
        run(
            sql.SQL(
                "create table if not exists {} (number bigint generated always as identity,"
                " run text, table_name text, source text, relation text, mark text,"
                " rows bigint, read_rows bigint, total bigint, watermark text,"
                " loaded_at timestamptz default now(),"
                " primary key (run, table_name, source, relation))"
            ).format(self._name(RECORDS))
        )

    def _prepare(self, run: Run, export: Export) -> None:
        """Make what is missing, and hold the table until the transaction is over.

        Raises:
            WindlassError: the table does not fit (any more).
        """
        self._hold(run, export.table)
        made = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(type_of(one)))
            for one in export.columns
        )
        run(sql.SQL("create table if not exists {} ({})").format(self._name(export.table), made))
        types = [type_of(column) for column in export.columns]
        there = self._columns(run, export.table)
        if wrong := misfits(export.table, export.columns, types, there):
            raise WindlassError(str(wrong[0]))
        lock = "lock table {} in share row exclusive mode"
        run(sql.SQL(lock).format(self._name(export.table)))

    def _stage_csv(
        self, connection: Connection, export: Export, manifest: Manifest, store: ObjectStore
    ) -> None:
        """Every column as text first: the file has been written as text."""
        names = sql.SQL(", ").join(
            sql.SQL("{} text").format(sql.Identifier(one.name)) for one in export.columns
        )
        connection.execute(
            sql.SQL("create temp table {} ({}) on commit drop").format(
                sql.Identifier(_STAGED), names
            )
        )
        copy = sql.SQL("copy pg_temp.{} from stdin (format csv, header true)").format(
            sql.Identifier(_STAGED)
        )
        for file in manifest.files:
            with connection.cursor() as cursor, cursor.copy(copy) as stream:
                for portion in _plain(store.stream(file.path), manifest.compression):
                    stream.write(portion)

    def _load_parquet(
        self, like: Connection, export: Export, manifest: Manifest, store: ObjectStore
    ) -> None:
        """Through ADBC, which makes binary COPY of Arrow in C: one session, one transaction."""
        import adbc_driver_postgresql.dbapi as adbc

        try:
            uri = self._address.conninfo(like, "windlass warehouse")
            with closing(adbc.connect(uri, autocommit=False)) as connection:
                with connection.cursor() as cursor:

                    def run(statement: sql.SQL | sql.Composed) -> Rows:
                        cursor.execute(statement.as_string(None))
                        return list(cursor.fetchall()) if cursor.description else []

                    run(sql.SQL("set timezone = 'UTC'"))
                    self._prepare(run, export)
                    if self._loaded(run, manifest.run, export):
                        return  # another process of this run was faster
                    for at, file in enumerate(manifest.files):
                        with fetched(store, file.path) as path:
                            cursor.adbc_ingest(
                                _STAGED,
                                _staged_batches(str(path), export),
                                mode="append" if at else "create",
                                temporary=True,
                            )
                    self._fill(run, export, manifest, _as_arrow)
                connection.commit()
        except (adbc.Error, OSError) as error:
            from windlass.engines.postgres.extract import explain_adbc

            raise explain_adbc(error, f"loading {export.table}", side="warehouse") from None

    def _fill(
        self,
        run: Run,
        export: Export,
        manifest: Manifest,
        cast: Callable[[Column], sql.Composable],
    ) -> None:
        table, staged = self._name(export.table), sql.Identifier("pg_temp", _STAGED)
        names = sql.SQL(", ").join(sql.Identifier(one.name) for one in export.columns)
        if export.disposition == "truncate":
            run(sql.SQL("truncate {}").format(table))
        if export.disposition == "merge":
            self._take_out(run, export, cast)
        values = sql.SQL(", ").join(cast(one) for one in export.columns)
        # counted as they go in: a trigger may have other plans
        counted = run(
            sql.SQL(
                "with arrived as (insert into {} ({}) select {} from {} new returning 1)"
                " select count(*) from arrived"
            ).format(table, names, values, staged)
        )[0][0]
        check_arrived(export, manifest.rows, counted)
        words = (manifest.run, export.table, export.source, export.name, manifest.mark, counted,
                 manifest.rows, self._count(run, export.table), manifest.watermark)  # fmt: skip
        run(
            sql.SQL(
                "insert into {} (run, table_name, source, relation, mark, rows, read_rows, total,"
                " watermark) values ({})"
            ).format(self._name(RECORDS), sql.SQL(", ").join(map(sql.Literal, words)))
        )

    def _take_out(self, run: Run, export: Export, cast: Callable[[Column], sql.Composable]) -> None:
        """The rows that new ones replace."""
        by_name = {one.name: one for one in export.columns}
        staged = sql.Identifier("pg_temp", _STAGED)
        keys = sql.SQL(", ").join(cast(by_name[key]) for key in export.key)
        one = sql.SQL("select 1 from {} new group by {} having count(*) > 1 limit 1")
        if run(one.format(staged, keys)):
            raise not_unique(export)
        missing = sql.SQL(" or ").join(
            sql.SQL("new.{} is null").format(sql.Identifier(key)) for key in export.key
        )
        if run(sql.SQL("select 1 from {} new where {} limit 1").format(staged, missing)):
            raise without_key(export)
        same = sql.SQL(" and ").join(
            sql.SQL("old.{} = {}").format(sql.Identifier(key), cast(by_name[key]))
            for key in export.key
        )
        delete = sql.SQL("delete from {} old using {} new where {}")
        run(delete.format(self._name(export.table), staged, same))


def _runner(connection: Connection) -> Run:
    def run(statement: sql.SQL | sql.Composed) -> Rows:
        cursor = connection.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []

    return run


def _as_text(column: Column) -> sql.Composable:
    """Lists are `{1,2}` there as well: the server wrote them itself."""
    return sql.SQL("new.{}::{}").format(sql.Identifier(column.name), sql.SQL(type_of(column)))


_FROM_NUMBERS = {
    Kind.DATE: "case {0} when 2147483647 then 'infinity' when -2147483647 then '-infinity'"
    " else date '1970-01-01' + {0} end",
    Kind.TIMESTAMP: "case {0} when 9223372036854775807 then 'infinity'"
    " when -9223372036854775807 then '-infinity' else timestamp '1970-01-01'"
    # in two parts, as an interval is multiplied by a float
    " + {0} / 1000000 * interval '1 s' + {0} % 1000000 * interval '1 us' end",
    Kind.INSTANT: "case {0} when 9223372036854775807 then 'infinity'"
    " when -9223372036854775807 then '-infinity' else timestamptz '1970-01-01 00:00Z'"
    " + {0} / 1000000 * interval '1 s' + {0} % 1000000 * interval '1 us' end",
    Kind.UUID: "encode({0}, 'hex')::uuid",
}


def _as_arrow(column: Column) -> sql.Composable:
    name = sql.SQL("new.{}").format(sql.Identifier(column.name))
    value: sql.Composable = name
    if column.kind in _FROM_NUMBERS and not column.is_list:
        value = sql.SQL("({})").format(sql.SQL(_FROM_NUMBERS[column.kind]).format(name))
    return sql.SQL("{}::{}").format(value, sql.SQL(type_of(column)))


def _staged_batches(path: str, export: Export) -> Any:
    """A file as batches of types that arrive whatever they hold: an infinite date is a number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = {
        Kind.DATE: pa.int32(),
        Kind.TIMESTAMP: pa.int64(),
        Kind.INSTANT: pa.int64(),
    }
    file = pq.ParquetFile(path)

    def staged(column: Column, array: Any) -> Any:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_fixed_size_binary(array.type):
            return array.cast(pa.binary())
        if column.kind in plain and not column.is_list:
            return array.view(plain[column.kind])
        return array

    def batches() -> Iterator[Any]:
        for batch in file.iter_batches(batch_size=16_384):
            arrays = [staged(one, batch.column(one.name)) for one in export.columns]
            yield pa.RecordBatch.from_arrays(arrays, names=[one.name for one in export.columns])

    empty = file.schema_arrow.empty_table()
    types = [staged(one, empty.column(one.name).combine_chunks()).type for one in export.columns]
    schema = pa.schema(list(zip([one.name for one in export.columns], types, strict=True)))
    return pa.RecordBatchReader.from_batches(schema, batches())


def _plain(portions: Iterator[bytes], compression: str) -> Iterator[bytes]:
    if compression != "gzip":
        yield from portions
        return
    import zlib

    unpack = zlib.decompressobj(wbits=31)
    for portion in portions:
        yield unpack.decompress(portion)
    yield unpack.flush()
