"""The column types of a PostgreSQL warehouse, and how file values are converted to them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

from psycopg import sql

from windlass.model.export import Column, Export, Kind

# types of a PostgreSQL source whose values every server can read from text
_NOT_OURS = re.compile(r"[.]|^(reg|record|unknown|any|cstring|money|\"any\")")
_TYPES = {
    Kind.BOOLEAN: "boolean",
    Kind.INT16: "smallint",
    Kind.INT32: "integer",
    Kind.INT64: "bigint",
    Kind.FLOAT32: "real",
    Kind.FLOAT64: "double precision",
    Kind.TEXT: "text",
    Kind.JSON: "json",  # keeps the text; jsonb would sort the keys
    Kind.UUID: "uuid",
    Kind.BYTES: "bytea",
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: "timestamp without time zone",
    Kind.INSTANT: "timestamp with time zone",
}


def type_of(column: Column, engine: str) -> str:
    """The source's own type if the source is PostgreSQL, and the type is not one that only the
    source has."""
    if column.mask:
        return "text"
    if column.is_cast and column.kind is Kind.JSON:  # only the source has its type
        return "json"
    if engine == "postgresql":
        return "text" if _NOT_OURS.search(column.type) else column.type
    if column.kind is Kind.DECIMAL:
        return f"numeric({column.precision},{column.scale})"
    return _TYPES[column.kind] + ("[]" if column.is_list else "")


def from_text(column: Column, engine: str) -> sql.Composable:
    """The value that was staged as text. Lists are written as `{1,2}` there too."""
    name, type_ = sql.Identifier(column.name), sql.SQL(type_of(column, engine))
    return sql.SQL("new.{}::{}").format(name, type_)


_FROM_NUMBERS = {
    Kind.DATE: "case {0} when 2147483647 then 'infinity' when -2147483647 then '-infinity'"
    " else date '1970-01-01' + {0} end",
    Kind.TIMESTAMP: "case {0} when 9223372036854775807 then 'infinity'"
    " when -9223372036854775807 then '-infinity' else timestamp '1970-01-01'"
    # in two parts, because an interval is multiplied by a float
    " + {0} / 1000000 * interval '1 s' + {0} % 1000000 * interval '1 us' end",
    Kind.INSTANT: "case {0} when 9223372036854775807 then 'infinity'"
    " when -9223372036854775807 then '-infinity' else timestamptz '1970-01-01 00:00Z'"
    " + {0} / 1000000 * interval '1 s' + {0} % 1000000 * interval '1 us' end",
    Kind.UUID: "encode({0}, 'hex')::uuid",
}


def from_arrow(column: Column, engine: str) -> sql.Composable:
    """The value that was staged by ADBC."""
    name = sql.SQL("new.{}").format(sql.Identifier(column.name))
    value: sql.Composable = name
    if column.kind in _FROM_NUMBERS and not column.is_list:
        value = sql.SQL("({})").format(sql.SQL(_FROM_NUMBERS[column.kind]).format(name))
    return sql.SQL("{}::{}").format(value, sql.SQL(type_of(column, engine)))


def staged_batches(path: str, export: Export) -> Any:
    """A file as batches whose types can hold every value; an infinite date is a number there."""
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


def unpacked(portions: Iterator[bytes], compression: str) -> Iterator[bytes]:
    if compression != "gzip":
        yield from portions
        return
    unpack = zlib.decompressobj(wbits=31)
    for portion in portions:
        yield unpack.decompress(portion)
    yield unpack.flush()
