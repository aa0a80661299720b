"""A Parquet file as an input, with its own types. Values that no type of ours can hold become exact
text.

A column in nanoseconds is first read once, to see whether all values are whole microseconds. Lists
of plain values stay lists; any other nested value becomes JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from windlass.engines.base import BATCH_BYTES, MOST_DIGITS, arrow_type
from windlass.engines.files.exact_text import exact_texts, json_texts
from windlass.engines.files.names import named
from windlass.engines.files.stored import Stored
from windlass.errors import BadRecord, WindlassError
from windlass.model.export import Column, Kind
from windlass.model.load import BadValue, Field, Identity

if TYPE_CHECKING:
    from windlass.engines.landing import RawCsv

BATCH_ROWS = 65_536
_HINT = "fetch it again: it may be incomplete"


class ParquetInput:
    """See `windlass.engines.landing.Input`. A row has no line."""

    def __init__(self, stored: Stored) -> None:
        """Raises:
        WindlassError: it is not a Parquet file.
        BadRecord: two columns have one name.
        """
        self._stored = stored
        self.place = stored.place
        with self._opened() as file:
            schema = file.schema_arrow
            names = named(self.place, 0, schema.names)
            self._columns = [self._column(file, at, schema) for at in range(len(names))]
        self.fields: Sequence[Field] = [Field(one.name, one) for one in self._columns]

    @cached_property
    def identity(self) -> Identity:
        return self._stored.identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = [one.name for one in self._columns]
        first = 1
        with self._opened() as file:
            for batch in self._batches(file):
                columns = [
                    self._fitted(*pair, first)
                    for pair in zip(batch.columns, self._columns, strict=True)
                ]
                yield from _divided(pa.RecordBatch.from_arrays(columns, names=names))
                first += batch.num_rows

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return 0

    def _opened(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._stored.path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _batches(self, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """Batches of so few rows that they stay below `BATCH_BYTES`, by the file's average."""
        rows, size = file.metadata.num_rows, 0
        for at in range(file.metadata.num_row_groups):
            size += file.metadata.row_group(at).total_byte_size
        average = max(1, size // max(1, rows))
        count = max(1, min(BATCH_ROWS, BATCH_BYTES // 2 // average))
        try:
            yield from file.iter_batches(batch_size=count, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> WindlassError:
        what = str(error).partition("\n")[0]
        return WindlassError(
            f"{self.place}: cannot be read as Parquet: {what}", hint=_HINT, side="source"
        )

    def _column(self, file: pq.ParquetFile, at: int, schema: pa.Schema) -> Column:
        field = schema.field(at)
        column = column_of(field.name, field.type)
        if column is None:
            exact = _is_nested(field.type)
            return Column(
                field.name, str(field.type), Kind.JSON if exact else Kind.TEXT, is_cast=True
            )
        if _unit(field.type) == "ns" and not self._is_whole(file, at, column):
            return Column(field.name, str(field.type), Kind.TEXT, is_cast=True)
        return column

    def _is_whole(self, file: pq.ParquetFile, at: int, column: Column) -> bool:
        """Whether all values of a column are whole microseconds."""
        name = file.schema_arrow.names[at]
        try:
            for batch in file.iter_batches(columns=[name], use_threads=False):
                batch.column(0).cast(arrow_type(column))
        except pa.ArrowInvalid:
            return False
        return True

    def _fitted(self, values: pa.Array, column: Column, first: int) -> pa.Array:
        if isinstance(values.type, pa.DictionaryType):
            values = values.dictionary_decode()
        if column.is_cast:
            return json_texts(values) if column.kind is Kind.JSON else exact_texts(values)
        wanted = arrow_type(column)
        if isinstance(values.type, pa.BaseExtensionType) and values.type != wanted:
            values = values.storage
        if wanted == pa.string():
            values = values.cast(wanted)
            self._check_text(values, column.name, first)
            return values
        if isinstance(wanted, pa.BaseExtensionType):
            return values
        return values if values.type == wanted else values.cast(wanted)

    def _check_text(self, values: pa.Array, name: str, first: int) -> None:
        found = pc.index(pc.match_substring(values, "\0"), True).as_py()
        if found >= 0:
            raise BadRecord([BadValue(self.place, first + found, "NUL in text", 0, name)])


def _unit(type_: pa.DataType) -> str:
    if pa.types.is_timestamp(type_) or pa.types.is_time(type_):
        return str(type_.unit)
    return ""


def _is_nested(type_: pa.DataType) -> bool:
    return bool(pa.types.is_nested(type_))


_PLAIN: Sequence[tuple[Any, Kind]] = (
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_int8, Kind.INT16),
    (pa.types.is_uint8, Kind.INT16),
    (pa.types.is_int16, Kind.INT16),
    (pa.types.is_uint16, Kind.INT32),
    (pa.types.is_int32, Kind.INT32),
    (pa.types.is_uint32, Kind.INT64),
    (pa.types.is_int64, Kind.INT64),
    (pa.types.is_float16, Kind.FLOAT32),
    (pa.types.is_float32, Kind.FLOAT32),
    (pa.types.is_float64, Kind.FLOAT64),
    (pa.types.is_string, Kind.TEXT),
    (pa.types.is_large_string, Kind.TEXT),
    (pa.types.is_string_view, Kind.TEXT),
    (pa.types.is_null, Kind.TEXT),
    (pa.types.is_binary, Kind.BYTES),
    (pa.types.is_large_binary, Kind.BYTES),
    (pa.types.is_binary_view, Kind.BYTES),
    (pa.types.is_fixed_size_binary, Kind.BYTES),
    (pa.types.is_date, Kind.DATE),
    (pa.types.is_time, Kind.TIME),
)


def column_of(name: str, type_: pa.DataType) -> Column | None:
    """A column that holds every value of an Arrow type; None if there is none."""
    described = str(type_)
    if isinstance(type_, pa.DictionaryType):
        return column_of(name, type_.value_type)
    if isinstance(type_, pa.UuidType):
        return Column(name, "uuid", Kind.UUID)
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name == "arrow.json":
            return Column(name, "json", Kind.JSON)
        return column_of(name, type_.storage_type)
    if pa.types.is_timestamp(type_):
        return Column(name, described, Kind.INSTANT if type_.tz else Kind.TIMESTAMP)
    if pa.types.is_uint64(type_):
        return Column(name, described, Kind.DECIMAL, precision=20)
    if pa.types.is_decimal(type_):
        precision, scale = type_.precision, type_.scale
        if not 0 <= scale <= precision <= MOST_DIGITS:
            return None
        return Column(name, described, Kind.DECIMAL, precision=precision, scale=scale)
    if _is_nested(type_):
        return _list_of(name, type_)
    kind = next((kind for fits, kind in _PLAIN if fits(type_)), None)
    return Column(name, described, kind) if kind else None


def _list_of(name: str, type_: pa.DataType) -> Column | None:
    if not (pa.types.is_list(type_) or pa.types.is_large_list(type_)):
        return None
    inner = column_of(name, type_.value_type)
    plain = (Kind.BOOLEAN, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64,
             Kind.TEXT, Kind.DATE)  # fmt: skip
    if inner is None or inner.is_list or inner.kind not in plain:
        return None
    return Column(name, str(type_), inner.kind, is_list=True)


def _divided(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Split into batches of at most `BATCH_BYTES`, or of one row."""
    if batch.nbytes <= BATCH_BYTES or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _divided(batch.slice(0, half))
    yield from _divided(batch.slice(half))
