"""Calls a Python function over batches of rows: from PostgreSQL and back as Arrow, by binary COPY.

One batch is in memory at a time. The function gets numbers, text, bytes, times and lists of these
as the driver delivers them, and numeric with a scale as decimals; everything else is text, in both
directions.
"""

from __future__ import annotations

import importlib.util
import re
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from windlass.engines.postgres.errors import without_values
from windlass.engines.postgres.session import Connection, Role, session_settings
from windlass.engines.postgres.table import under
from windlass.engines.postgres.users_sql import current_settings
from windlass.errors import ConnectionLost, WindlassError
from windlass.inplace.carriers import Column, Unfit, carry
from windlass.inplace.returned import Asked, make_frame, read_result, row_name
from windlass.inplace.staging import Staging
from windlass.model.functions import imported
from windlass.model.text import first_line

if TYPE_CHECKING:
    import pyarrow as pa

_LIBRARIES = {"pandas": ("pandas",), "polars": ("polars",), "arrow": ()}
_DRIVER = ("adbc_driver_postgresql", "pyarrow")
_BATCH_BYTES = 8 << 20
_PLAIN = {
    "boolean", "smallint", "integer", "bigint", "real", "double precision", "text", "bytea",
}  # fmt: skip
_TIMES = {"date", "timestamp without time zone", "timestamp with time zone"}
_SCALED = re.compile(r"numeric\((\d+),(\d+)\)")
_MOST_DIGITS = 38  # of Arrow's decimal128


def missing_libraries(frame: str) -> list[str]:
    wanted = (*_DRIVER, *_LIBRARIES[frame])
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def call_function(
    connection: Connection, conninfo: str, staging: Staging, check: Callable[[], None]
) -> tuple[list[str], int]:
    """Call the plan's function with every staged row, in order. `check` is called before each
    batch, and raises to end the work.

    The results go into the table `_batches`, which is recreated. Returns its columns and the number
    of rows. Nothing is written if there are no rows.

    Raises:
        WindlassError: the function failed, or returned something that it must not return.
    """
    plan = staging.plan
    reading = _Columns.of(connection, staging)
    function = imported(plan.call.function)
    row = row_name(reading.names)
    asked = Asked(reading.columns, plan.id, row, plan.call.trusts_order)
    call, staged = plan.call, staging.name()
    called = _Called(call.function, function, call.frame, reading, asked, staged, check)
    try:
        return called.through(connection, conninfo, staging, plan.call.batch_rows)
    except called.errors as error:
        if called.failed is not None:  # the driver only says that its reader has ended
            raise called.failed from called.failed.__cause__
        raise _explained(error, f"function {plan.call.function}") from error


def _explained(error: Exception, doing: str) -> WindlassError:
    """The first line only, without values: the other lines may show some."""
    line = without_values(getattr(error, "sqlstate", None), first_line(error))
    if getattr(error, "sqlstate", None) is None and "libpq" in line:
        return ConnectionLost(f"{doing}: {line}", side="database")
    return WindlassError(f"{doing}: {line}", side="database")


@dataclass(frozen=True)
class _Columns:
    """What is read from PostgreSQL: a query, and for each column whether it is decimals as text."""

    columns: dict[str, Column]
    query: sql.Composed
    decimals: dict[str, tuple[int, int]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @classmethod
    def of(cls, connection: Connection, staging: Staging) -> _Columns:
        plan = staging.plan
        names = (*(one.name for one in plan.columns), *plan.missing)
        types = {name: under(connection, plan.type_of(name)) for name in names}
        odd = _odd_values(connection, staging, types)
        parts, decimals = [], {}
        for name in names:
            value = staging.before_call(name)
            if not _is_carried(types[name]) or name in odd:
                value = sql.SQL("{}::text").format(value)
            scaled = _SCALED.fullmatch(types[name])
            if scaled and int(scaled[1]) <= _MOST_DIGITS and name not in odd:
                decimals[name] = int(scaled[1]), int(scaled[2])
            parts.append(sql.SQL("{} as {}").format(value, sql.Identifier(name)))
        query = sql.SQL("select s.ordinal, {} from {} order by s.ordinal").format(
            sql.SQL(", ").join(parts), staging.joined(with_calls=False)
        )
        return cls({name: Column(name, types[name]) for name in names}, query, decimals)


def _element(type_: str) -> str:
    return type_.removesuffix("[]")


def _is_carried(type_: str) -> bool:
    return _element(type_) in _PLAIN | _TIMES or type_.startswith("character varying")


def _odd_values(connection: Connection, staging: Staging, types: dict[str, str]) -> set[str]:
    """Columns with values that Arrow cannot hold in this run: infinite times, arrays of more than
    one dimension, NaN among decimals."""
    tests = {}
    for name, type_ in types.items():
        value = staging.before_call(name)
        if type_.endswith("[]") and _is_carried(type_):
            tests[name] = sql.SQL("array_ndims({0}) > 1 or array_lower({0}, 1) <> 1").format(value)
            if _element(type_) in _TIMES:
                tests[name] += sql.SQL(
                    " or exists (select from unnest({}) one where not isfinite(one))"
                ).format(value)
        elif type_ in _TIMES:
            tests[name] = sql.SQL("not isfinite({})").format(value)
        elif _SCALED.fullmatch(type_):
            tests[name] = sql.SQL("{} = 'NaN'").format(value)
    if not tests:
        return set()
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(
            sql.SQL("coalesce(bool_or({}), false)").format(test) for test in tests.values()
        ),
        staging.joined(with_calls=False),
    )
    row = connection.execute(query).fetchone()
    assert row is not None
    return {name for name, odd in zip(tests, row, strict=True) if odd}


@dataclass
class _Called:
    """The function, and what its first batch has shown about its results."""

    name: str
    function: Callable[[Any], Any]
    frame: str
    reading: _Columns
    asked: Asked
    staged: str  # the staging table
    check: Callable[[], None]
    columns: list[str] = field(default_factory=list)
    batch: int = 0
    rows: int = 0
    failed: BaseException | None = None

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        import adbc_driver_manager
        import pyarrow as pa

        return (adbc_driver_manager.Error, pa.ArrowException)

    def through(
        self, connection: Connection, conninfo: str, staging: Staging, batch_rows: int
    ) -> tuple[list[str], int]:
        import pyarrow as pa
        from adbc_driver_postgresql import dbapi

        batches = staging.table("_batches")
        connection.execute(sql.SQL("drop table if exists {}").format(batches))
        with (
            closing(dbapi.connect(conninfo)) as source,
            closing(dbapi.connect(conninfo)) as target,
            source.cursor() as reader,
            target.cursor() as writer,
        ):
            for session in (reader, writer):
                session.execute(_settings(connection, staging).as_string(connection))
            hint = {"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
            reader.adbc_statement.set_options(**hint)
            reader.execute(self.reading.query.as_string(connection))
            made = self._batches(reader.fetch_record_batch(), batch_rows)
            first = next(made, None)
            if first is None:
                return [], 0
            connection.execute(_table_for(batches, first.schema))
            stream = pa.RecordBatchReader.from_batches(first.schema, _chain(first, made))
            # a COPY of several batches at once would be visible to nobody before its commit
            writer.adbc_ingest(
                staging.name("_batches"), stream, mode="append", db_schema_name="windlass"
            )
            target.commit()
        return self.columns, self.rows

    def _batches(self, reader: Any, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """What is to be written, batch by batch, all with one schema."""
        schema = None
        try:
            for read in reader:
                for start in range(0, read.num_rows, batch_rows):
                    self.batch += 1
                    made = self._call(read.slice(start, batch_rows), schema)
                    schema = made.schema
                    self.rows += made.num_rows
                    yield made
        except BaseException as error:  # the reader of the batches would only say that they ended
            self.failed = error
            raise

    def _call(self, read: pa.RecordBatch, schema: pa.Schema | None) -> pa.RecordBatch:
        import pyarrow as pa

        self.check()
        ordinals, *columns = read.columns  # by position: the table may have a column `ordinal`
        rows = _plain(pa.table(columns, list(self.reading.names)), self.reading.decimals)
        given = self._run(make_frame(rows, self.frame, self.asked.row))
        try:
            result = read_result(given, rows, self.asked)
            self._expect_columns(result)
            sent = [
                carry(result[name], self.asked.columns[name], schema and schema.field(place).type)
                for place, name in enumerate(self.columns, 1)
            ]
        except Unfit as error:
            raise self._unfit(error, ordinals) from error
        names = ["ordinal", *(f"n{place}" for place in range(len(sent)))]
        return pa.RecordBatch.from_arrays([ordinals, *sent], names=names)

    def _run(self, frame: Any) -> Any:
        """The function's result. An error's text may hold a row's values, so it is not shown."""
        try:
            return self.function(frame)
        except KeyboardInterrupt as error:
            if threading.current_thread() is threading.main_thread():  # somebody's Ctrl-C
                raise
            raise self._raised(error) from error
        except (Exception, SystemExit) as error:
            raise self._raised(error) from error

    def _raised(self, error: BaseException) -> WindlassError:
        *_, last = traceback.extract_tb(error.__traceback__)
        place = f"{Path(last.filename).name}, line {last.lineno}"
        return self._fault(f"{type(error).__name__} in {place}", hint="-v shows all")

    def _expect_columns(self, result: Collection[str]) -> None:
        if not self.columns:
            self.columns = list(result)
        elif sorted(result) != sorted(self.columns):
            raise Unfit(
                "gave other columns for one batch than for another",
                hint="return the same columns for every batch",
            )

    def _unfit(self, error: Unfit, ordinals: pa.Array) -> WindlassError:
        if error.row is None:
            return self._fault(str(error), hint=error.hint)
        ordinal = ordinals[error.row].as_py()
        hint = f"{error.hint}; {show_row(self.staged, ordinal)}"
        return self._fault(f"{error}, in row {ordinal}", hint=hint)

    def _fault(self, message: str, *, hint: str) -> WindlassError:
        return WindlassError(f"function {self.name}, batch {self.batch}: {message}", hint=hint)


def show_row(staged: str, ordinal: int) -> str:
    """How to see a row of which an error gives only the number."""
    return f"the row has the ordinal {ordinal} in windlass.{staged}"


def _settings(connection: Connection, staging: Staging) -> sql.Composed:
    """The settings of the session that writes, so that text means the same in both."""
    settings = {
        **session_settings(Role.TARGET, connection.info.server_version),
        "application_name": f"windlass rewrite {staging.plan.run}",
        **{name.lower(): value for name, value in current_settings(connection).items()},
    }
    return sql.SQL("select {}").format(
        sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        )
    )


def _chain(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from others


def _plain(rows: pa.Table, decimals: dict[str, tuple[int, int]]) -> pa.Table:
    """Without the driver's extension types, which only repeat PostgreSQL's names."""
    import pyarrow as pa

    for place, name in enumerate(rows.column_names):
        if name in decimals:
            column = rows.column(name).cast(pa.decimal128(*decimals[name]))
            rows = rows.set_column(place, name, column)
    return rows


def _table_for(name: sql.Identifier, schema: pa.Schema) -> sql.Composed:
    """Unlogged: if a crash empties it, that is noticed, and the table is filled again."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(_type_for(one.type)))
        for one in schema
    ]
    return sql.SQL("create unlogged table {} ({})").format(name, sql.SQL(", ").join(columns))


def _type_for(type_: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_list(type_):
        return f"{_type_for(type_.value_type)}[]"
    names = {
        pa.bool_(): "boolean",
        pa.int64(): "bigint",
        pa.float64(): "double precision",
        pa.date32(): "date",
        pa.timestamp("us"): "timestamp",
        pa.timestamp("us", "UTC"): "timestamptz",
        pa.binary(): "bytea",
        pa.string(): "text",
    }
    return names[type_]
