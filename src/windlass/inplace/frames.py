"""Calls a Python function over batches of rows: from PostgreSQL and back as Arrow, by binary COPY.

One batch is in memory at a time. The function gets numbers, text, bytes, times and lists of these
as the driver delivers them, and numeric with a scale as decimals; everything else is text, in both
directions.
"""

from __future__ import annotations

import importlib.util
import json
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from windlass.engines.postgres.errors import without_values
from windlass.engines.postgres.session import Connection, Role, session_settings
from windlass.engines.postgres.table import search_path, under
from windlass.errors import ConnectionLost, WindlassError
from windlass.inplace.staging import Staging
from windlass.model.flow import resolve
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
    try:
        function: Callable[[Any], Any] = resolve(plan.call.function)
    except Exception as error:  # whatever its module raises; another worker has checked it before
        raise WindlassError(
            f"function {plan.call.function}: cannot be imported here: {type(error).__name__}",
            hint="its folder has to be in PYTHONPATH of every worker",
        ) from error
    called = _Called(plan.call.function, function, plan.call.frame, reading, plan.id, check)
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
    """What leaves PostgreSQL: a query, and for each column whether it is decimals as text."""

    names: tuple[str, ...]
    query: sql.Composed
    decimals: dict[str, tuple[int, int]]
    documents: frozenset[str]  # columns of JSON

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
        documents = frozenset(name for name in names if types[name] in ("json", "jsonb"))
        return cls(names, query, decimals, documents)


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
    id: str
    check: Callable[[], None]
    columns: list[str] = field(default_factory=list)
    rows: int = 0
    failed: WindlassError | None = None

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
            # a COPY of some batches at once would not be seen by anybody before its commit
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
                    made = self._call(read.slice(start, batch_rows), schema)
                    schema = made.schema
                    self.rows += made.num_rows
                    yield made
        except WindlassError as error:
            self.failed = error
            raise

    def _call(self, read: pa.RecordBatch, schema: pa.Schema | None) -> pa.RecordBatch:
        import pyarrow as pa

        self.check()
        rows = pa.Table.from_batches([read.drop_columns(["ordinal"])])
        rows = _plain(rows, self.reading.decimals)
        try:
            given = self.function(_frame_of(rows, self.frame))
        except Exception as error:  # its text may hold a row's values
            *_, last = traceback.extract_tb(error.__traceback__)
            place = f"{Path(last.filename).name}, line {last.lineno}"
            raise self._fault(f"{type(error).__name__} in {place}", hint="-v shows all") from error
        given = self._as_table(given)
        if not given.column_names:
            raise self._fault("gave no columns", hint="it has to give back those that it changes")
        if given.num_rows != rows.num_rows:
            raise self._fault(f"gave {given.num_rows} rows for {rows.num_rows}")
        self._check_columns(given)
        self._check_order(rows, given)
        columns = [
            self._carried(name, given.column(name), schema and schema.field(place + 1).type)
            for place, name in enumerate(self.columns)
        ]
        names = ["ordinal", *(f"n{place}" for place in range(len(columns)))]
        return pa.RecordBatch.from_arrays([read.column("ordinal"), *columns], names=names)

    def _carried(self, name: str, column: pa.ChunkedArray, wanted: pa.DataType | None) -> pa.Array:
        """Convert to one of the types that can be written: the first batch's, or text if it had no
        values."""
        import pyarrow as pa

        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if isinstance(column.type, pa.BaseExtensionType):
            storage = column.type.storage_type
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], storage)
        is_document = name in self.reading.documents
        type_ = wanted or (pa.string() if is_document else _carrier(column.type))
        try:
            if pa.types.is_string(type_) and pa.types.is_nested(column.type):
                texts = [None if one is None else _json(one) for one in column.to_pylist()]
                return pa.array(texts, pa.string())
            if column.type != type_:
                column = column.cast(type_)
        except (pa.ArrowException, TypeError, ValueError) as error:
            # its text quotes the value
            what = f"column {name}: {column.type} cannot be kept as {type_}"
            raise self._fault(f"{what} ({type(error).__name__})") from None
        # no chunks at all, or several
        return pa.concat_arrays(column.chunks) if column.chunks else pa.array([], type_)

    def _as_table(self, given: Any) -> pa.Table:
        import pyarrow as pa

        if isinstance(given, pa.RecordBatch):
            given = pa.Table.from_batches([given])
        kind = type(given).__module__.split(".")[0]
        if kind == "pandas" and type(given).__name__ == "DataFrame":
            import pandas as pd

            if not given.index.equals(pd.RangeIndex(len(given))):
                raise self._fault("gave its rows in another order, or under another index")
            for name in given.columns:  # one by one, to name the column; the error quotes a value
                try:
                    pa.array(given[name], from_pandas=True)
                except (pa.ArrowException, TypeError, ValueError) as error:
                    what = f"column {name}: {given[name].dtype} holds values of several kinds"
                    raise self._fault(f"{what} ({type(error).__name__})") from None
            return pa.Table.from_pandas(given, preserve_index=False)
        if kind == "polars" and type(given).__name__ == "DataFrame":
            return given.to_arrow()
        if not isinstance(given, pa.Table):
            raise self._fault(f"gave a {type(given).__name__}, not a frame or a table")
        return given

    def _check_columns(self, given: pa.Table) -> None:
        names = list(given.column_names)
        unknown = [name for name in names if name not in self.reading.names]
        if unknown:
            raise self._fault(
                f"gave columns that the table does not have: {', '.join(map(str, unknown))}",
                hint="name them under add, with their type",
            )
        if not self.columns:
            self.columns = names
        elif sorted(names) != sorted(self.columns):
            raise self._fault("gave other columns for one batch than for another")

    def _check_order(self, rows: pa.Table, given: pa.Table) -> None:
        """Check the order by the column that names a row, if the function returns it."""
        if self.id not in self.columns or self.id not in rows.column_names:
            return
        before, after = rows.column(self.id), given.column(self.id)
        if before.to_pylist() != after.to_pylist():
            raise self._fault(f"gave its rows in another order, or changed {self.id}")

    def _fault(self, message: str, *, hint: str = "") -> WindlassError:
        hint = hint or "it has to give back as many rows as it was given, in the same order"
        return WindlassError(f"function {self.name}: {message}", hint=hint)


def _settings(connection: Connection, staging: Staging) -> sql.Composed:
    """The settings of all our sessions, so that text has one meaning."""
    settings = {
        **session_settings(Role.TARGET, connection.info.server_version),
        "application_name": f"windlass rewrite {staging.plan.run}",
        "search_path": search_path(staging.plan.table.schema).as_string(connection),
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


def _frame_of(rows: pa.Table, frame: str) -> Any:
    if frame == "pandas":
        import pandas as pd

        # Arrow's own types: a NULL does not turn whole numbers into floats
        return rows.to_pandas(types_mapper=pd.ArrowDtype)
    if frame == "polars":
        import polars as pl

        return pl.from_arrow(rows)
    return rows


def _plain(rows: pa.Table, decimals: dict[str, tuple[int, int]]) -> pa.Table:
    """Without the driver's extension types, which only repeat PostgreSQL's names."""
    import pyarrow as pa

    for place, name in enumerate(rows.column_names):
        if name in decimals:
            column = rows.column(name).cast(pa.decimal128(*decimals[name]))
            rows = rows.set_column(place, name, column)
    return rows


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _carrier(type_: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    types = pa.types
    if types.is_boolean(type_):
        return pa.bool_()
    if types.is_integer(type_) and type_ != pa.uint64():
        return pa.int64()
    if types.is_floating(type_):
        return pa.float64()
    if types.is_date(type_):
        return pa.date32()
    if types.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if types.is_binary(type_) or types.is_large_binary(type_):
        return pa.binary()
    if types.is_list(type_) or types.is_large_list(type_):
        inner = _carrier(type_.value_type)
        return pa.string() if types.is_nested(inner) else pa.list_(inner)
    return pa.string()


def _table_for(name: sql.Identifier, schema: pa.Schema) -> sql.Composed:
    """Unlogged: if a crash empties it, that is noticed, and it is filled again."""
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
