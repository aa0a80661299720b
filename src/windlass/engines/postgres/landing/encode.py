"""Arrow batches as CSV for COPY: NULL is an empty field, every text is quoted. Values are
PostgreSQL's text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from windlass.model.export import Kind

if TYPE_CHECKING:
    import pyarrow as pa

    from windlass.model.load import Field

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, in days since 1970
_JULIAN = 2_440_588  # of 1970-01-01, which date_in and timestamp_in take as J2440588
_DAY = 86_400_000_000  # microseconds


def csv_of(batch: pa.RecordBatch, fields: Sequence[Field]) -> memoryview:
    """The records of a batch."""
    import pyarrow as pa
    from pyarrow import csv

    arrays = [_of_field(batch.column(at), field) for at, field in enumerate(fields)]
    texts = pa.RecordBatch.from_arrays(arrays, names=[f"f{at}" for at in range(len(fields))])
    out = pa.BufferOutputStream()
    csv.write_csv(texts, out, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return memoryview(out.getvalue())


def text_of(array: Any, field: Field) -> Any:
    """Values as COPY gets them, as Arrow text."""
    import pyarrow as pa

    return _of_field(array, field).cast(pa.string())


def _of_field(array: Any, field: Field) -> Any:
    import pyarrow as pa

    if field.column is not None and field.column.kind is Kind.UUID and not field.column.is_list:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        return _each(array, lambda value: str(UUID(bytes=value)))
    return _text(array)


def _text(array: Any) -> Any:
    """An array whose text in CSV is PostgreSQL's."""
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _text(array.dictionary_decode())
    if pa.types.is_date32(kind):
        return _within(array, pa.int32(), _FIRST_DAY, _LAST_DAY, _day)
    if pa.types.is_timestamp(kind):
        return _stamps(array)
    if pa.types.is_time(kind):
        micros = array.cast(pa.time64("us"))
        return _within(micros, pa.int64(), 0, _DAY - 1, lambda _: "24:00:00")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _each(array, lambda value: f"\\x{value.hex()}")
    if pa.types.is_fixed_size_binary(kind):
        return _each(array, lambda value: f"\\x{value.hex()}")
    if pa.types.is_float16(kind):
        return array.cast(pa.float32())
    if pa.types.is_decimal(kind):
        return array.cast(pa.string()) if kind.scale >= 0 else _each(array, lambda v: f"{v:f}")
    if pa.types.is_nested(kind):
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        return _each(array, _list_text if is_list and _is_flat(kind) else _json_text)
    return array


def _is_flat(kind: Any) -> bool:
    import pyarrow as pa

    return not pa.types.is_nested(kind.value_type)


def _each(array: Any, text: Callable[[Any], str]) -> Any:
    import pyarrow as pa

    values = array.to_pylist()
    return pa.array([None if one is None else text(one) for one in values], pa.string())


def _stamps(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    zone = "+00" if array.type.tz else ""
    plain = array.view(pa.int64()).view(pa.timestamp(array.type.unit))
    if array.type.unit != "us":  # an error if nanoseconds would be lost
        plain = plain.cast(pa.timestamp("us"))
    low, high = _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1
    texts = _within(plain, pa.int64(), low, high, _stamp)
    if not zone:
        return texts
    zoned = pc.binary_join_element_wise(texts, zone, "")
    return pc.if_else(pc.match_substring(texts, "infinity"), texts, zoned)


def _within(array: Any, plain: Any, low: int, high: int, slow: Callable[[int], str]) -> Any:
    """Arrow's text for years of four digits, otherwise `slow` for each number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = array.view(plain)
    edges = pc.min_max(numbers).as_py()
    if edges["min"] is None or (edges["min"] >= low and edges["max"] <= high):
        return array.cast(pa.string())
    inside = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    nothing = pa.scalar(None, plain)
    texts = pc.if_else(inside, numbers, nothing).view(array.type).cast(pa.string())
    rest = pc.if_else(inside, nothing, numbers).to_pylist()
    slowly = pa.array([None if one is None else slow(one) for one in rest], pa.string())
    return pc.coalesce(texts, slowly)


def _day(days: int) -> str:
    if abs(days) == (1 << 31) - 1:
        return "infinity" if days > 0 else "-infinity"
    return f"J{_JULIAN + days}"


def _stamp(micros: int) -> str:
    if abs(micros) == (1 << 63) - 1:
        return "infinity" if micros > 0 else "-infinity"
    days, rest = divmod(micros, _DAY)
    seconds, fraction = divmod(rest, 1_000_000)
    minutes, second = divmod(seconds, 60)
    return f"J{_JULIAN + days} {minutes // 60:02}:{minutes % 60:02}:{second:02}.{fraction:06}"


def _list_text(values: Sequence[Any]) -> str:
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        value = f"\\x{value.hex()}"
    if isinstance(value, int | float):
        return repr(value)
    return '"{}"'.format(str(value).replace("\\", "\\\\").replace('"', '\\"'))


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)
