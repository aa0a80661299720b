"""Reads rows for files: Arrow batches through ADBC, or the server's own CSV.

The columns' types are the server's word (RowDescription), never guessed from values. The SELECT
list casts what would not arrive as it is. What a file cannot hold (infinity, NaN in a decimal)
becomes NULL, is counted, and told as a loss.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq, sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Address, Connection, Role, session_settings
from windlass.engines.postgres.snapshot import IMPORT, lost
from windlass.errors import Interrupted, WindlassError
from windlass.model.export import Column, Export, Kind
from windlass.model.units import plural

if TYPE_CHECKING:
    import pyarrow as pa

# The reader holds three batches at once, the writer two: about 100 MB with what decoding needs.
BATCH_BYTES = 16 << 20
MOST_DIGITS = 38  # of a decimal in Arrow's 128 bits, DuckDB, and BigQuery's BIGNUMERIC


Buffer = bytes | bytearray | memoryview


class Dialect(StrEnum):
    """For whom the values are written."""

    FILES = "files"  # nobody in particular
    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    BIGQUERY = "bigquery"


@dataclass(frozen=True, slots=True)
class Described:
    """A column of a query, as the server describes it."""

    name: str
    oid: int
    modifier: int
    type: str


_KINDS = {
    16: Kind.BOOLEAN, 17: Kind.BYTES, 19: Kind.TEXT, 20: Kind.INT64, 21: Kind.INT16,
    23: Kind.INT32, 25: Kind.TEXT, 26: Kind.INT64, 114: Kind.JSON, 700: Kind.FLOAT32,
    701: Kind.FLOAT64, 1042: Kind.TEXT, 1043: Kind.TEXT, 1082: Kind.DATE, 1083: Kind.TIME,
    1114: Kind.TIMESTAMP, 1184: Kind.INSTANT, 2950: Kind.UUID, 3802: Kind.JSON,
}  # fmt: skip
_LISTS = {
    1000: Kind.BOOLEAN, 1005: Kind.INT16, 1007: Kind.INT32, 1016: Kind.INT64, 1021: Kind.FLOAT32,
    1022: Kind.FLOAT64, 1009: Kind.TEXT, 1015: Kind.TEXT,
}  # fmt: skip
_NUMERIC = 1700


def describe(connection: Connection, query: sql.Composed, of: str) -> list[Described]:
    """The columns that a query would give, without running it.

    Raises:
        WindlassError: the server does not accept it.
    """
    with connection.transaction():  # a savepoint: one that is refused does not end the snapshot
        result = connection.pgconn.prepare(b"", query.as_bytes(connection))
        if result.status == pq.ExecStatus.COMMAND_OK:
            result = connection.pgconn.describe_prepared(b"")
        if result.status != pq.ExecStatus.COMMAND_OK:
            said = result.get_error_message(connection.info.encoding).splitlines()
            message = said[0].removeprefix("ERROR:").strip() if said else "cannot be read"
            raise WindlassError(message, hint=f"see what {of} asks for")
    found = [
        ((result.fname(at) or b"").decode(), result.ftype(at), result.fmod(at))
        for at in range(result.nfields)
    ]
    try:
        rows = connection.execute(
            "select format_type(o, m) from unnest(%s::oid[], %s::int[])"
            " with ordinality as t(o, m, n) order by n",
            ([oid for _, oid, _ in found], [modifier for _, _, modifier in found]),
        ).fetchall()
    except psycopg.Error as error:
        raise explain(error, f"reading the types of {of}", side="source") from error
    return [Described(*one, str(type_)) for one, (type_,) in zip(found, rows, strict=True)]


def column_of(
    one: Described, dialect: Dialect, *, not_null: bool, text: bool, mask: bool
) -> Column:
    """What a column becomes for those who read it."""
    if mask:
        return Column(one.name, one.type, Kind.TEXT, not_null=not_null, mask=True)
    if text:
        return Column(one.name, one.type, Kind.TEXT, not_null=not_null, is_cast=True)
    if one.oid == _NUMERIC and one.modifier >= 4 and (digits := _digits(one.modifier)):
        return Column(one.name, one.type, Kind.DECIMAL, False, *digits, not_null)
    if one.oid in _LISTS and dialect is not Dialect.BIGQUERY:
        return Column(one.name, one.type, _LISTS[one.oid], is_list=True, not_null=not_null)
    if one.oid in _LISTS:  # BigQuery's repeated fields know neither NULL nor empty elements
        return Column(one.name, one.type, Kind.JSON, not_null=not_null, is_cast=True)
    kind = _KINDS.get(one.oid)
    if kind is Kind.UUID and dialect is Dialect.BIGQUERY:
        kind = None
    return Column(one.name, one.type, kind or Kind.TEXT, not_null=not_null, is_cast=kind is None)


def _digits(modifier: int) -> tuple[int, int] | None:
    """Precision and scale of a numeric's modifier (numeric_typmod_scale in numeric.c), as a decimal
    that holds all its values; None if that has more than 38 digits."""
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, ((modifier - 4) & 0x7FF ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    return (precision, scale) if precision <= MOST_DIGITS else None


# the SELECT list


def select(export: Export, columns: Sequence[sql.Composable]) -> sql.Composed:
    """The rows of an export; `query` is ours or the user's own, and ends with its conditions."""
    return sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(columns) if columns else sql.SQL("1"), from_item(export)
    )


def from_item(export: Export) -> sql.Composed:
    item: sql.Composable = sql.SQL(export.query)
    if not export.watermark or not export.since:
        return sql.Composed([item])
    mark = sql.Identifier(export.watermark)
    # from the last value on, as others may have the same; merging makes that harmless
    since = sql.SQL("select * from {} where {} >= {} or {} is null")
    rows = since.format(item, mark, sql.Literal(export.since), mark)
    return sql.SQL("({}) as windlass_rows").format(rows)


def _value(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.mask:
        return sql.SQL("case when {} is not null then '***' end").format(name)
    if column.is_cast and column.kind is Kind.JSON:
        return sql.SQL("to_json({})::text").format(name)
    if column.is_cast:
        return sql.SQL("{}::text").format(name)
    if column.type == "oid":
        return sql.SQL("{}::int8").format(name)
    return name


def _arrow_list(columns: Sequence[Column]) -> list[sql.Composable]:
    """Every column, then for each list a number that says whether it is more than a list: ADBC
    makes one flat list of `{{1,2},{3,4}}`."""
    found: list[sql.Composable] = [
        sql.SQL("{} as {}").format(_value(one), sql.Identifier(one.name)) for one in columns
    ]
    return found + [
        sql.SQL(
            "case when array_ndims({0}) > 1 then 2 when array_lower({0}, 1) <> 1 then 1 else 0"
            " end::int2 as {1}"
        ).format(sql.Identifier(one.name), sql.Identifier(f"windlass_{at}"))
        for at, one in enumerate(columns)
        if one.is_list
    ]


def csv_list(columns: Sequence[Column], dialect: Dialect) -> list[sql.Composable]:
    return [_csv_value(one, dialect) for one in columns]


def _csv_value(column: Column, dialect: Dialect) -> sql.Composable:
    name, value = sql.Identifier(column.name), _value(column)
    if dialect is Dialect.BIGQUERY and not (column.mask or column.is_cast):
        if column.kind is Kind.BYTES:
            return sql.SQL("translate(encode({}, 'base64'), E'\\n', '')").format(name)
        if column.kind in _BIGQUERY_RANGES:
            inside = sql.SQL(_BIGQUERY_RANGES[column.kind]).format(name)
            return sql.SQL("case when {} then {} end").format(inside, value)
        if column.kind is Kind.DECIMAL:
            return sql.SQL("nullif({}, 'NaN')").format(value)
    if column.kind is Kind.DECIMAL and dialect is Dialect.DUCKDB:
        return sql.SQL("nullif({}, 'NaN')").format(value)
    return value


_BIGQUERY_RANGES = {
    Kind.DATE: "{0} between '0001-01-01' and '9999-12-31'",
    Kind.TIMESTAMP: "{0} between '0001-01-01' and '9999-12-31 23:59:59.999999'",
    Kind.INSTANT: "{0} between '0001-01-01 00:00Z' and '9999-12-31 23:59:59.999999Z'",
    Kind.TIME: "{0} < '24:00'",
}


def count_csv_losses(connection: Connection, export: Export, dialect: Dialect) -> dict[str, str]:
    """How many values the CSV leaves out, by column. Asked in the same snapshot."""
    asked = {
        one.name: sql.SQL("count(*) filter (where {} is null and {} is not null)").format(
            _csv_value(one, dialect), sql.Identifier(one.name)
        )
        for one in export.columns
        if not (one.mask or one.is_cast)
        and (
            (one.kind is Kind.DECIMAL and dialect in (Dialect.BIGQUERY, Dialect.DUCKDB))
            or (one.kind in _BIGQUERY_RANGES and dialect is Dialect.BIGQUERY)
        )
    }
    if not asked:
        return {}
    row = connection.execute(select(export, list(asked.values()))).fetchone()
    assert row is not None
    counts = dict(zip(asked, row, strict=True))
    return {name: _loss(int(str(count))) for name, count in counts.items() if count}


def _loss(count: int) -> str:
    return f"{plural(count, 'value')} that it cannot hold (infinity, NaN, or out of range) are NULL"


# Arrow


class ArrowReader:
    """A session that reads one snapshot as Arrow batches. Owned by one thread, but for `cancel`."""

    def __init__(self, address: Address, like: Connection, snapshot: str, purpose: str) -> None:
        # not its `dbapi`, which loads pandas and polars as well: 0.6 s and 90 MB
        import adbc_driver_postgresql
        from adbc_driver_manager import AdbcConnection, Error

        self._statement: Any = None
        self._is_cancelled = False
        self._database = adbc_driver_postgresql.connect(address.conninfo(like, purpose))
        try:
            self._connection = AdbcConnection(self._database)
        except Error as error:
            self._database.close()
            raise explain_adbc(error, str(address)) from None
        try:
            for words in _opening(like.info.server_version, snapshot):
                with self._stated(words) as statement:
                    statement.execute_update()
        except Error as error:
            self.close()
            if error.sqlstate in ("22023", "42704", "55000"):
                raise lost(error) from None
            raise explain_adbc(error, "entering the snapshot") from None

    @contextmanager
    def _stated(self, words: str) -> Iterator[Any]:
        from adbc_driver_manager import AdbcStatement

        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(words)
            yield statement

    def batches(self, export: Export) -> Iterator[pa.RecordBatch]:
        """The rows of an export, as ADBC has them; `Shaper` gives them their types."""
        from adbc_driver_manager import Error
        from adbc_driver_manager._reader import AdbcRecordBatchReader

        query = select(export, _arrow_list(export.columns)).as_string(None)
        with self._stated(query) as statement:
            self._statement = statement
            key = "adbc.postgresql.batch_size_hint_bytes"
            statement.set_options(**{key: str(BATCH_BYTES)})
            try:
                handle, _ = statement.execute_query()
                # not pyarrow's own reader, whose errors have lost their SQLSTATE
                with AdbcRecordBatchReader._import_from_c(handle.address) as reader:
                    yield from reader
            except (Error, OSError) as error:
                if self._is_cancelled:
                    raise Interrupted("stopped on request") from None
                raise explain_adbc(error, f"reading {export.name}") from None
            finally:
                self._statement = None

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._statement is not None:
            self._statement.cancel()

    def close(self) -> None:
        self._connection.close()
        self._database.close()


def _opening(version: int, snapshot: str) -> list[str]:
    settings = session_settings(Role.SOURCE, version)
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, false)").format(sql.Literal(k), sql.Literal(v))
        for k, v in settings.items()
    ]
    first = sql.SQL("select {}").format(sql.SQL(", ").join(calls)).as_string(None)
    begin, _, enter = IMPORT.partition("; ")
    return [first, begin, sql.SQL(enter).format(sql.Literal(snapshot)).as_string(None)]


class _Said(OSError):
    """The server's words, in the shape of a driver's error."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.message, self.sqlstate = message, sqlstate


def explain_adbc(error: BaseException, doing: str, *, side: str = "source") -> WindlassError:
    """ADBC has the server's words in its text. Whether another try can help, the SQLSTATE says."""
    text, state = str(error), getattr(error, "sqlstate", None) or None
    said = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*)", text)
    line = said[1].strip() if said else (text.strip().splitlines() or ["?"])[0]
    line = re.sub(r'(: |value )".*"', r'\1"…"', line)  # which may be a row's
    if state is None and said and said[0].startswith("ERROR"):
        return WindlassError(f"{doing}: {line}", side=side)
    return explain(_Said(line, state), doing, side=side)


# What ADBC makes of infinity: PostgreSQL's largest and smallest numbers, moved from its epoch to
# Arrow's, which wraps around. No date or time that PostgreSQL knows becomes one of these.
_DAYS, _MICROS = 10_957, 946_684_800_000_000
_WRAPPED = {
    32: (_DAYS - (1 << 31) - 1, _DAYS - (1 << 31)),
    64: (_MICROS - (1 << 63) - 1, _MICROS - (1 << 63)),
}
_YEAR_ONE_DAYS, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31
_DAY = 86_400_000_000
_EARLIEST = -230_000_000_000_000_000  # microseconds: before 4713 BC, PostgreSQL's first year


class Shaper:
    """Gives batches the types of their files, and counts what has no place in these."""

    def __init__(self, export: Export, dialect: Dialect) -> None:
        import pyarrow as pa

        self._export, self._dialect = export, dialect
        self._lost: Counter[str] = Counter()
        self._moved: Counter[str] = Counter()
        # not_null is the source's word, but a value without a place becomes NULL
        self.schema = pa.schema(
            [pa.field(one.name, arrow_type(one, dialect)) for one in export.columns]
        )

    def shape(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises:
        WindlassError: a list has more than one dimension.
        """
        import pyarrow as pa

        columns = self._export.columns
        self._check_lists(batch, [one for one in columns if one.is_list])
        arrays = [self._shaped(one, batch.column(at)) for at, one in enumerate(columns)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    @property
    def losses(self) -> dict[str, str]:
        found = {name: _loss(count) for name, count in self._lost.items()}
        for name, count in self._moved.items():
            found[name] = f"{count:,} arrays whose first index is not 1 begin at 1"
        return found

    def _check_lists(self, batch: pa.RecordBatch, lists: Sequence[Column]) -> None:
        import pyarrow.compute as pc

        for at, column in enumerate(lists, start=len(self._export.columns)):
            highest = pc.max(batch.column(at)).as_py() or 0
            if highest == 2:
                raise WindlassError(
                    f"{self._export.name}.{column.name} holds arrays of more than one dimension,"
                    " which a list cannot keep",
                    hint=f"give the relation `text: [{column.name}]`: they are written as text",
                )
            if highest == 1:
                self._moved[column.name] += pc.sum(pc.equal(batch.column(at), 1)).as_py()

    def _shaped(self, column: Column, array: Any) -> Any:
        import pyarrow as pa

        if isinstance(array, pa.ExtensionArray) and column.kind is not Kind.UUID:
            array = array.storage
        if column.is_list:
            return array
        if column.kind is Kind.DECIMAL:
            return self._decimal(column, array)
        if column.kind is Kind.DATE:
            return self._bounded(column, array, 32)
        if column.kind in (Kind.TIMESTAMP, Kind.INSTANT):
            return self._bounded(column, array, 64)
        if column.kind is Kind.TIME and self._dialect is Dialect.BIGQUERY:
            return self._within(column, array, pa.int64(), 0, _DAY - 1)
        if column.kind is Kind.JSON and self._dialect is not Dialect.BIGQUERY:
            return pa.ExtensionArray.from_storage(pa.json_(), array)
        return array

    def _decimal(self, column: Column, array: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.decimal128(column.precision, column.scale)
        try:
            return pc.cast(array, wanted)
        except pa.ArrowInvalid:
            number = pc.match_substring_regex(array, r"^-?[0-9]")
            self._count(column, pc.and_(pc.invert(number), pc.is_valid(array)))
            return pc.cast(pc.if_else(number, array, None), wanted)

    def _bounded(self, column: Column, array: Any, bits: int) -> Any:
        """Dates and times: what is in bounds stays, infinity where the reader has it, else NULL."""
        import pyarrow as pa
        import pyarrow.compute as pc

        plain = pa.int32() if bits == 32 else pa.int64()
        if self._dialect is Dialect.BIGQUERY:
            scale = 1 if bits == 32 else _DAY
            return self._within(
                column, array, plain, _YEAR_ONE_DAYS * scale, (_LAST_DAY + 1) * scale - 1
            )
        lowest = _EARLIEST if bits == 64 else -3_000_000
        numbers = array.view(plain)
        if (pc.min(numbers).as_py() or 0) >= lowest:
            return array
        if self._dialect is Dialect.FILES:
            return self._within(column, array, plain, lowest, (1 << (bits - 1)) - 1)
        most = (1 << (bits - 1)) - 1  # DuckDB's own infinity, which our loader for Postgres knows
        for wrapped, meant in zip(_WRAPPED[bits], (most, -most), strict=True):
            same = pc.equal(numbers, pa.scalar(wrapped, plain))
            numbers = pc.if_else(same, pa.scalar(meant, plain), numbers)
        beyond = pc.and_(pc.less(numbers, lowest), pc.not_equal(numbers, pa.scalar(-most, plain)))
        self._count(column, beyond)
        return pc.if_else(beyond, pa.scalar(None, plain), numbers).view(array.type)

    def _within(self, column: Column, array: Any, plain: Any, low: int, high: int) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = array.view(plain)
        edges = pc.min_max(numbers).as_py()
        if edges["min"] is None or (edges["min"] >= low and edges["max"] <= high):
            return array
        inside = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
        self._count(column, pc.invert(inside))
        return pc.if_else(inside, numbers, pa.scalar(None, plain)).view(array.type)

    def _count(self, column: Column, lost: Any) -> None:
        import pyarrow.compute as pc

        if found := pc.sum(lost).as_py():
            self._lost[column.name] += found


def arrow_type(column: Column, dialect: Dialect) -> Any:
    import pyarrow as pa

    types = {
        Kind.BOOLEAN: pa.bool_(),
        Kind.INT16: pa.int16(),
        Kind.INT32: pa.int32(),
        Kind.INT64: pa.int64(),
        Kind.FLOAT32: pa.float32(),
        Kind.FLOAT64: pa.float64(),
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string() if dialect is Dialect.BIGQUERY else pa.json_(),
        Kind.UUID: pa.uuid(),
        Kind.BYTES: pa.binary(),
        Kind.DATE: pa.date32(),
        Kind.TIME: pa.time64("us"),
        Kind.TIMESTAMP: pa.timestamp("us"),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    if column.kind is Kind.DECIMAL:
        return pa.decimal128(column.precision, column.scale)
    return pa.list_(types[column.kind]) if column.is_list else types[column.kind]


# CSV


@contextmanager
def csv_rows(
    connection: Connection, export: Export, dialect: Dialect
) -> Iterator[Iterator[Buffer]]:
    """Lines of CSV, each a row: the server sends one message for each."""
    query = select(export, csv_list(export.columns, dialect))
    null = r"\N" if dialect is Dialect.BIGQUERY else ""
    copy = sql.SQL("copy ({}) to stdout (format csv, null {})").format(query, sql.Literal(null))
    try:
        with connection.cursor() as cursor, cursor.copy(copy) as stream:
            yield iter(stream)
    except psycopg.Error as error:
        raise explain(error, f"reading {export.name}", side="source") from error
