"""Lines of PostgreSQL's COPY in text format as columns of values for a function, and back.

A value that a function gets is a number, text, bytes or a time; everything else is text, as
PostgreSQL writes it. What it returns is written exactly, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from windlass.inplace.carriers import Column, Kind, Unfit, carry

if TYPE_CHECKING:
    import pyarrow as pa

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_TO_ESCAPE = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_DECIMAL = re.compile(r"numeric\((\d+),(\d+)\)")
_MOST_DIGITS = 38  # of Arrow's decimal128
_LIMITED = re.compile(r"([a-z ]+?)\((\d+)(?:,(-?\d+))?\)( with(?:out)? time zone)?")
_FRACTION = re.compile(r"\.(\d+)")


def read_lines(lines: bytes) -> list[list[str | None]]:
    """The fields of whole lines, each as text; None for NULL."""
    rows = lines.decode().split("\n")
    rows.pop()  # what follows the last line end
    return [[_field(one) for one in row.split("\t")] for row in rows]


def _field(text: str) -> str | None:
    if "\\" not in text:
        return text
    if text == r"\N":
        return None
    return _ESCAPED.sub(lambda found: _LETTERS.get(found[1], found[1]), text)


def write_lines(columns: Sequence[Sequence[str | None]]) -> bytes:
    rows = zip(*columns, strict=True)
    return "".join("\t".join(map(_written, row)) + "\n" for row in rows).encode()


def _written(text: str | None) -> str:
    return r"\N" if text is None else text.translate(_TO_ESCAPE)


def as_array(texts: Sequence[str | None], column: Column) -> pa.Array:
    """A column's values as a function gets them.

    Raises:
        Unfit: one of them has no counterpart in Arrow, such as an infinite date.
    """
    import pyarrow as pa

    type_, read = _reader(column)
    try:
        return pa.array([None if one is None else read(one) for one in texts], type_)
    except (ValueError, InvalidOperation, OverflowError, pa.ArrowException):
        message = f"column {column.name}: a value of {column.type} that Arrow cannot hold"
        hint = f"let it arrive as text ({{sql: {column.name}::text}}), or drop it"
        raise Unfit(message, hint=hint) from None


def _reader(column: Column) -> tuple[pa.DataType, Callable[[str], Any]]:
    import pyarrow as pa

    found = _DECIMAL.fullmatch(column.type)
    if found and int(found[1]) <= _MOST_DIGITS:
        return pa.decimal128(int(found[1]), int(found[2])), Decimal
    widths = {"smallint": pa.int16(), "integer": pa.int32(), "real": pa.float32()}
    readers: Mapping[Kind, tuple[pa.DataType, Callable[[str], Any]]] = {
        Kind.BOOLEAN: (pa.bool_(), lambda text: text == "t"),
        Kind.INTEGER: (widths.get(column.type, pa.int64()), int),
        Kind.FLOAT: (widths.get(column.type, pa.float64()), float),
        Kind.DATE: (pa.date32(), date.fromisoformat),
        Kind.TIMESTAMP: (pa.timestamp("us"), datetime.fromisoformat),
        Kind.TIMESTAMPTZ: (pa.timestamp("us", "UTC"), datetime.fromisoformat),
        Kind.BYTES: (pa.binary(), lambda text: bytes.fromhex(text.removeprefix("\\x"))),
    }
    return readers.get(column.kind, (pa.string(), str))


def as_texts(values: pa.Array, column: Column) -> list[str | None]:
    """What a function returned, as the texts that the column reads without changing one.

    Raises:
        Unfit: the column would not have these very values.
    """
    import pyarrow as pa

    sent = carry(values, column, None)
    if pa.types.is_nested(sent.type):
        hint = "return PostgreSQL's text of the array, in curly brackets"
        raise Unfit(f"column {column.name}: lists", hint=hint)
    found = [None if one is None else _text(one) for one in sent.to_pylist()]
    for row, text in enumerate(found):
        if text is not None and (fault := _fault(text, column)):
            raise Unfit(f"column {column.name}: {fault}", row=row)
    return found


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "t" if value else "f"
        case bytes():
            return f"\\x{value.hex()}"
        case float():
            return {"inf": "Infinity", "-inf": "-Infinity"}.get(repr(value), repr(value))
        case datetime():
            return value.isoformat(" ")
    return str(value)


def _fault(text: str, column: Column) -> str:
    """Why a column of this type would hold another value; empty if it would not, or refuses the
    text."""
    if "\0" in text:
        return "a text with U+0000"
    if column.type == "real":
        return _real_fault(text)
    found = _LIMITED.fullmatch(column.type)
    if found is None:
        return ""
    if found[1] == "numeric":
        return _scale_fault(text, int(found[3] or 0), column.type)
    if found[1] in ("character varying", "character") and len(text) > int(found[2]):
        return f"more characters than {column.type} keeps"
    if found[1] in ("timestamp", "time", "interval"):
        fractions = (one.rstrip("0") for one in _FRACTION.findall(text))
        if any(len(one) > int(found[2]) for one in fractions):
            return f"more digits than {column.type} keeps"
    return ""


def _scale_fault(text: str, scale: int, type_: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return ""  # the column refuses it
    exponent = number.normalize().as_tuple().exponent
    too_many = isinstance(exponent, int) and -exponent > scale and number != 0
    return f"more digits than {type_} keeps" if too_many else ""


def _real_fault(text: str) -> str:
    import pyarrow as pa

    try:
        number = float(text)
    except ValueError:
        return ""
    short = pa.scalar(number, pa.float32()).cast(pa.string()).as_py()
    is_kept = number != number or float(short) == number
    return "" if is_kept else "more digits than real keeps"
