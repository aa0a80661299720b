"""How a function's values travel to a column: as a type that PostgreSQL converts without changing
one. What would be changed on the way is refused, with its column and its row.

A value is a number, text, bytes, a time or a list of these; everything else is text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_HINT = "convert it in the function: its values are written exactly, or not at all"
_MODIFIER = re.compile(r"\([^)]*\)")
_SCALE = re.compile(r"numeric\(\d+,(-?\d+)\)")
_DIGITS = {16: 3, 32: 6, 64: 15}  # decimal digits that every float of so many bits keeps


class Unfit(Exception):
    """What is wrong with a function's result. `row` counts from 0 within its batch."""

    def __init__(self, message: str, *, hint: str = _HINT, row: int | None = None) -> None:
        super().__init__(message)
        self.hint, self.row = hint, row


class Kind(StrEnum):
    """What a type's values are, however long or precise."""

    BOOLEAN = auto()
    INTEGER = auto()
    FLOAT = auto()
    NUMERIC = auto()
    DATE = auto()
    TIMESTAMP = auto()
    TIMESTAMPTZ = auto()
    BYTES = auto()
    TEXT = auto()
    DOCUMENT = auto()
    LIST = auto()
    OTHER = auto()


_KINDS = {
    "boolean": Kind.BOOLEAN,
    "smallint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "bigint": Kind.INTEGER,
    "real": Kind.FLOAT,
    "double precision": Kind.FLOAT,
    "numeric": Kind.NUMERIC,
    "date": Kind.DATE,
    "timestamp without time zone": Kind.TIMESTAMP,
    "timestamp with time zone": Kind.TIMESTAMPTZ,
    "bytea": Kind.BYTES,
    "text": Kind.TEXT,
    "character varying": Kind.TEXT,
    "character": Kind.TEXT,
    "bpchar": Kind.TEXT,
    "name": Kind.TEXT,
    '"char"': Kind.TEXT,
    "json": Kind.DOCUMENT,
    "jsonb": Kind.DOCUMENT,
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a function may return."""

    name: str
    type: str  # under its domains, as the server writes it

    @property
    def kind(self) -> Kind:
        if self.type.endswith("[]"):
            return Kind.LIST
        return _KINDS.get(_MODIFIER.sub("", self.type), Kind.OTHER)

    @property
    def element(self) -> Column:
        return Column(self.name, self.type.removesuffix("[]"))

    @property
    def scale(self) -> int | None:
        """Digits after the point; None if there is no limit."""
        found = _SCALE.fullmatch(self.type)
        return int(found[1]) if found else None


def carry(values: pa.Array, column: Column, first: pa.DataType | None) -> pa.Array:
    """The values in the form in which they are sent. Every batch is sent as `first`, the type in
    the run's first batch.

    Raises:
        Unfit: the column would not have exactly these values.
    """
    import pyarrow as pa

    if pa.types.is_null(values.type):
        return pa.nulls(len(values), first or _open_type(column))
    sent = _fit(values, column)
    if first is None or sent.type == first:
        return sent
    if not pa.types.is_string(first) or pa.types.is_nested(sent.type):
        message = f"column {column.name}: {sent.type} in this batch, and {first} in the first"
        raise Unfit(message, hint="return one type in every batch")
    return sent.cast(first)


def _open_type(column: Column) -> pa.DataType:
    """For a column without a value in the first batch: most later values can be sent as text."""
    import pyarrow as pa

    return _sent_as(column) if column.kind in (Kind.BYTES, Kind.LIST) else pa.string()


def _sent_as(column: Column) -> pa.DataType:
    import pyarrow as pa

    types = {
        Kind.BOOLEAN: pa.bool_(),
        Kind.INTEGER: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.DATE: pa.date32(),
        Kind.TIMESTAMP: pa.timestamp("us"),
        Kind.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
        Kind.BYTES: pa.binary(),
    }
    if column.kind is Kind.LIST:
        return pa.list_(_sent_as(column.element))
    return types.get(column.kind, pa.string())


def _fit(values: pa.Array, column: Column) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_null(values.type):
        return pa.nulls(len(values), _sent_as(column))
    if is_text(values.type) and column.kind is not Kind.BYTES:
        return values.cast(pa.string())
    if not _is_taken(values.type, column.kind):
        message = f"column {column.name}: {values.type}, where the column is {column.type}"
        raise Unfit(message)
    return _row_by_row(values, column, _converter(values.type, column))


def is_text(type_: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_string(type_) or types.is_large_string(type_) or type_ == pa.string_view())


def _is_list(type_: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_list(type_)
        or types.is_large_list(type_)
        or types.is_fixed_size_list(type_)
        or types.is_list_view(type_)
        or types.is_large_list_view(type_)
    )


def _is_taken(type_: pa.DataType, kind: Kind) -> bool:
    """Whether values of an Arrow type have one meaning in a column of this kind."""
    import pyarrow as pa

    types = pa.types
    whole = types.is_integer(type_) or types.is_decimal(type_)
    match kind:
        case Kind.BOOLEAN:
            taken = types.is_boolean(type_)
        case Kind.INTEGER | Kind.FLOAT | Kind.NUMERIC:
            taken = whole or types.is_floating(type_)
        case Kind.DATE | Kind.TIMESTAMP:
            has_zone = types.is_timestamp(type_) and type_.tz is not None
            taken = types.is_date(type_) or (types.is_timestamp(type_) and not has_zone)
        case Kind.TIMESTAMPTZ:
            taken = types.is_timestamp(type_) and type_.tz is not None
        case Kind.BYTES:
            taken = _is_bytes(type_)
        case Kind.DOCUMENT:
            is_simple = types.is_boolean(type_) or types.is_floating(type_)
            taken = whole or is_simple or types.is_nested(type_)
        case Kind.LIST:
            taken = _is_list(type_)
        case Kind.TEXT:
            taken = False  # a value that is not text has no single text form
        case Kind.OTHER:
            taken = whole or types.is_time(type_)
    return bool(taken)


def _is_bytes(type_: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    is_plain = types.is_binary(type_) or types.is_large_binary(type_)
    return bool(is_plain or types.is_fixed_size_binary(type_) or type_ == pa.binary_view())


Convert = Callable[["pa.Array"], "pa.Array"]


def _converter(type_: pa.DataType, column: Column) -> Convert:
    """A function that converts these values to those that are sent. It raises if a value would
    change."""
    import pyarrow as pa

    sent = _sent_as(column)
    if column.kind is Kind.LIST:
        return lambda values: _lists(values, column.element)
    if column.kind is Kind.DOCUMENT and pa.types.is_nested(type_):
        return lambda values: pa.array(map(as_json, values.to_pylist()), pa.string())
    if column.kind is Kind.DOCUMENT and pa.types.is_floating(type_):
        return lambda values: pa.array(map(as_json, values.to_pylist()), pa.string())
    if column.kind is Kind.NUMERIC and pa.types.is_floating(type_):
        return lambda values: _decimals(values, column.scale)
    if column.kind is Kind.INTEGER:
        width = {"smallint": pa.int16(), "integer": pa.int32()}.get(column.type, sent)
        return lambda values: values.cast(width).cast(sent)
    if column.kind is Kind.DATE:
        return _days
    return lambda values: values.cast(sent)


def _row_by_row(values: pa.Array, column: Column, convert: Convert) -> pa.Array:
    """Convert all values at once. If that fails, find the first row that does not fit."""
    import pyarrow as pa

    failures = (pa.ArrowException, TypeError, ValueError, OverflowError)

    def fails(start: int, length: int) -> bool:
        try:
            convert(values.slice(start, length))
        except (*failures, Unfit):
            return True
        return False

    try:
        return convert(values)
    except Unfit as error:
        if error.row is None:  # the type, not a value
            raise
    except failures:
        pass  # its text quotes the value
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(low, middle - low) else (middle, high)
    message = f"column {column.name}: {values.type} that {column.type} cannot hold unchanged"
    raise Unfit(message, row=low) from None


def _lists(values: pa.Array, element: Column) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_list(values.type.value_type):
        message = f"column {element.name}: lists of lists"
        raise Unfit(message, hint="return PostgreSQL's text of the array, in curly brackets")
    lists = values.cast(pa.list_(values.type.value_type))
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    elements = _fit(plain(pc.list_flatten(lists)), element)
    return pa.ListArray.from_arrays(offsets, elements, mask=lists.is_null())


def _days(values: pa.Array) -> pa.Array:
    """Dates, and times at midnight."""
    import pyarrow as pa

    days = values.cast(pa.date32())
    if not days.cast(values.type).equals(values):
        raise ValueError("a time of day")
    return days


def _decimals(values: pa.Array, scale: int | None) -> pa.Array:
    """Floats as text. Digits beyond those that every float keeps are noise of binary arithmetic:
    they are left out if the rest fits the column's scale."""
    import pyarrow as pa

    digits = _DIGITS[values.type.bit_width]
    texts = values.cast(pa.string()).to_pylist()
    return pa.array(
        [
            text if number is None else _decimal(number, text, digits, scale)
            for number, text in zip(values.to_pylist(), texts, strict=True)
        ],
        pa.string(),
    )


def _decimal(number: float, text: str, digits: int, scale: int | None) -> str:
    if scale is None:
        return text
    short = Decimal(format(number, f".{digits}g"))
    if not short.is_finite():
        return text
    exponent = short.normalize().as_tuple().exponent
    return str(short) if isinstance(exponent, int) and -exponent <= scale else text


def plain(values: Any) -> pa.Array:
    """One array, of plain values: without chunks, dictionaries and extension types."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.chunks else pa.nulls(0, values.type)
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def as_json(value: Any) -> str | None:
    """Text of a document; what is text already is taken for JSON.

    Raises:
        ValueError: it has NaN or an infinity, which JSON does not know.
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=_json_of, allow_nan=False)


def _json_of(value: Any) -> Any:
    for name in ("tolist", "to_pylist"):  # of NumPy's numbers and arrays
        if hasattr(value, name):
            return getattr(value, name)()
    return str(value)
