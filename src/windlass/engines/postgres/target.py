"""PostgreSQL as the warehouse: rows, record and watermark in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Self

import psycopg
from psycopg import sql

from windlass.engines.kept import Kept
from windlass.engines.loads import AFTER_LOAD, BEFORE_LOAD, RECORDS
from windlass.engines.objects.store import ObjectStore, fetched
from windlass.engines.postgres.arrow import explain_adbc
from windlass.engines.postgres.copy_in import send
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.facts import FACTS
from windlass.engines.postgres.loaded_types import (
    from_arrow,
    from_text,
    staged_batches,
    unpacked,
)
from windlass.engines.postgres.session import Address, Connection, Role, cancel_active
from windlass.engines.postgres.users_sql import read_settings
from windlass.engines.postgres.warehouse_faults import read_faults
from windlass.engines.postgres.warehouse_hooks import HookRunner, adbc_hooks, psycopg_hooks
from windlass.engines.postgres.warehouse_merging import Fetched
from windlass.engines.postgres.warehouse_tables import STAGED, Tables
from windlass.engines.stopping import Stops
from windlass.errors import Refused, WindlassError
from windlass.model.export import Export, Loaded, Manifest
from windlass.model.fit import Survey
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.trust.planted import Room, quoted_pattern, read_others_code, read_planted


class PostgresTarget:
    """Tables in one schema of a PostgreSQL database."""

    facts = FACTS

    def __init__(self, url: str, schema: str = "") -> None:
        self._address = Address.parse("warehouse", url)
        self._schema = schema or "public"
        self.place = str(self._address)
        self._stops = Stops()
        self._kept: Kept[Connection] = Kept(Connection.close)
        self._loaders: Kept[Any] = Kept(_close_loader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._kept.close()
        self._loaders.close()

    def cancel(self) -> None:
        self._stops.cancel()

    @contextmanager
    def _session(self, doing: str, *, keep: bool = True) -> Iterator[Connection]:
        """A session with no open transaction. It stays open for the next call, unless users'
        statements run in it: roles and settings that they leave behind must not reach another
        call."""
        try:
            with (
                self._kept.one(self._connect, keep=keep) as connection,
                self._stops.during(lambda: cancel_active(connection)),
            ):
                yield connection
        except psycopg.Error as error:
            raise explain(error, doing, side="warehouse") from error

    def _connect(self) -> Connection:
        connection = self._address.connect(Role.TARGET, "windlass warehouse")
        connection.execute("set synchronous_commit = on")
        return connection

    def survey(self, exports: Sequence[Export]) -> Survey:
        try:
            with self._session("looking at the tables") as connection:
                tables = self._tables(connection)
                faults = read_faults(connection, self._schema, exports)
                fits = {
                    one.name: faults[one.name].of(tables.fit(one, faults[one.name].problems))
                    for one in exports
                    if one.name in faults
                }
                problems = (
                    *self._rights(connection),
                    *self._own(tables, exports),
                    *self._planted(connection, exports),
                )
                return Survey(problems, fits)
        except WindlassError as error:
            return Survey((Problem(self.place, str(error), error.hint),))

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
        """Objects of other roles that have the names of the records or of the tables."""
        tables = quoted_pattern(*(one.table for one in exports))
        hint = "drop it, load as its owner, or give `into` another schema"
        return [
            *read_planted(connection, self._records),
            *read_others_code(connection, Room(self._schema, tables, shared=True, hint=hint)),
        ]

    @property
    def _records(self) -> Room:
        only = quoted_pattern(RECORDS)
        hint = f"find out who has changed it; without {RECORDS} the next load loads everything"
        return Room(self._schema, only, only, defaults=("now()",), shared=True, hint=hint)

    def _own(self, tables: Tables, exports: Sequence[Export]) -> list[Problem]:
        """Relations that would be loaded into the source's own tables, because the source is this
        database.

        A relation that is a table in another schema cannot be the table that is loaded. It is not
        known what a view or a query reads, so its table must be new, or made by an earlier load.
        """
        if not tables.run(
            sql.SQL("select 1 where has_function_privilege('pg_control_system()', 'execute')")
        ):
            return []  # then it cannot be compared with the source
        here = tables.run(
            sql.SQL(
                "select concat_ws('/', system_identifier, current_database())"
                " from pg_control_system()"
            )
        )[0][0]
        found = []
        for one in exports:
            if one.source != here or not tables.columns(one.table):
                continue
            elsewhere = tables.run(
                sql.SQL(
                    "select 1 from pg_class c join pg_namespace n on n.oid = relnamespace"
                    " where c.oid = to_regclass({}) and relkind in ('r', 'p') and nspname <> {}"
                ).format(sql.Literal(one.relation), sql.Literal(self._schema))
            )
            if elsewhere or (tables.columns(RECORDS) and tables.made(one)):
                continue
            name = f"{self._schema}.{one.table}"
            hint = "give `into` another schema, or the relation another `table`"
            found.append(Problem(one.name, f"would be loaded into the source's own {name}", hint))
        return found

    def watermark(self, export: Export) -> str:
        with self._session("reading the watermark") as connection:
            return self._tables(connection).watermark(export)

    def loaded(self, run: str, export: Export) -> Loaded | None:
        with self._session("reading the records") as connection:
            return self._tables(connection).loaded(run, export)

    def clean_up(self, export: Export, run: str) -> None:
        """Nothing to do: a load is one transaction."""

    def count(self, table: str) -> int:
        with self._session(f"counting {table}") as connection:
            return self._tables(connection).count(table)

    def assets(self, table: str) -> list[dict[str, str]]:
        return self._address.assets(Name(self._schema, table))

    def _tables(self, connection: Connection) -> Tables:
        def run(statement: sql.SQL | sql.Composed) -> Fetched:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

        return Tables(run, self._schema)

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        keep = not export.rules.hooks
        with self._session(f"loading {export.table}", keep=keep) as connection:
            tables = self._tables(connection)
            done = tables.loaded(manifest.run, export)
            if done:
                return done
            self._make_records(connection)
            if manifest.format == "csv":
                hooks = self._hooks(connection, tables)

                def stage() -> None:
                    _stage_csv(connection, export, manifest, store)

                with connection.transaction():
                    _load(tables, hooks, export, manifest, stage)
                # the role of a hook need not see the records
                connection.execute("reset session authorization")
            else:
                self._load_parquet(connection, export, manifest, store)
            found = tables.loaded(manifest.run, export)
            assert found is not None
            return replace(found, is_new=True)

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        with self._session(f"running {when}", keep=False) as connection:
            self._make_records(connection)
            tables = self._tables(connection)
            hooks = self._hooks(connection, tables)
            with connection.transaction():
                if tables.has_run(run, source, when):
                    return False
                hooks.apply(when, f"run {run}", texts)
                tables.record_hooks(run, source, when)
                return True

    def _hooks(self, connection: Connection, tables: Tables) -> HookRunner:
        settings = read_settings(connection, self._schema)
        return psycopg_hooks(tables.run, connection, settings)

    def _make_records(self, connection: Connection) -> None:
        """Create the records in a separate transaction, so that loads of other tables do not wait
        for this one."""
        with connection.transaction():
            tables = self._tables(connection)
            tables.hold(RECORDS)
            tables.create_records()
            if problems := read_planted(connection, self._records):
                raise Refused(problems)

    def _load_parquet(
        self, like: Connection, export: Export, manifest: Manifest, store: ObjectStore
    ) -> None:
        """Load through ADBC, which converts Arrow to binary COPY in C; in one session and one
        transaction."""
        import adbc_driver_postgresql.dbapi as adbc

        settings = read_settings(like, self._schema) if export.rules.hooks else {}
        try:
            keep = not export.rules.hooks
            with self._loaders.one(lambda: self._open_loader(like), keep=keep) as connection:
                with connection.cursor() as cursor:

                    def run(statement: sql.SQL | sql.Composed) -> Fetched:
                        cursor.execute(statement.as_string(None))
                        return list(cursor.fetchall()) if cursor.description else []

                    def stage() -> None:
                        _stage_parquet(cursor, export, manifest, store)

                    tables = Tables(run, self._schema)
                    hooks = adbc_hooks(run, connection, settings)
                    _load(tables, hooks, export, manifest, stage)
                    run(sql.SQL("drop table if exists {}").format(_STAGED))
                connection.commit()
        except (adbc.Error, OSError) as error:
            raise explain_adbc(error, f"loading {export.table}", side="warehouse") from None

    def _open_loader(self, like: Connection) -> Any:
        import adbc_driver_postgresql.dbapi as adbc

        uri = self._address.conninfo(like, "windlass warehouse")
        connection = adbc.connect(uri, autocommit=False)
        with connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            cursor.execute("set idle_in_transaction_session_timeout = 0")  # between two calls
        connection.commit()
        return connection


_STAGED = sql.Identifier("pg_temp", STAGED)


def _load(
    tables: Tables,
    hooks: HookRunner,
    export: Export,
    manifest: Manifest,
    stage: Callable[[], None],
) -> None:
    """Load in an open transaction, with the export's hooks, unless another process was faster."""
    tables.hold(export.table)
    if tables.loaded(manifest.run, export):
        return
    table, user_sql = tables.name(export.table).as_string(None), export.rules.hooks
    hooks.apply(BEFORE_LOAD, export.name, user_sql.before, table)
    tables.prepare(export)
    stage()
    convert = from_text if manifest.format == "csv" else from_arrow
    counted = tables.fill(export, manifest, lambda one: convert(one, export.engine))
    hooks.apply(AFTER_LOAD, export.name, user_sql.after, table)
    tables.record(export, manifest, counted)


def _close_loader(connection: Any) -> None:
    with suppress(Exception):  # after an error, the session may refuse to roll back
        connection.close()


def _stage_parquet(cursor: Any, export: Export, manifest: Manifest, store: ObjectStore) -> None:
    for at, file in enumerate(manifest.files):
        with fetched(store, file.path) as path:
            cursor.adbc_ingest(
                STAGED,
                staged_batches(str(path), export),
                mode="append" if at else "create",
                temporary=True,
            )


def _stage_csv(
    connection: Connection, export: Export, manifest: Manifest, store: ObjectStore
) -> None:
    """Stage every column as text first, as the file contains text."""
    names = sql.SQL(", ").join(
        sql.SQL("{} text").format(sql.Identifier(one.name)) for one in export.columns
    )
    connection.execute(
        sql.SQL("create temp table {} ({}) on commit drop").format(sql.Identifier(STAGED), names)
    )
    copy = sql.SQL("copy pg_temp.{} from stdin (format csv, header true)").format(
        sql.Identifier(STAGED)
    )
    for file in manifest.files:
        with connection.cursor() as cursor, cursor.copy(copy) as stream:
            for portion in unpacked(store.stream(file.path), manifest.compression):
                send(stream, portion)
