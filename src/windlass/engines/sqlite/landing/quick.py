"""Converts a whole array of texts at once if every one has a common form. The result is the same as
that of `windlass.engines.sqlite.landing.values`, which converts value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windlass.model.export import Kind
from windlass.model.load import TableColumn

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGER = "^-?[0-9]{1,18}$"
_FLOAT = r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$"  # each number of 15 digits is a different float
_DATE = "^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_MOMENT = "^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"


def quickly(texts: pa.Array, column: TableColumn) -> list[Any] | None:
    """The values to store; None if they must be converted one by one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return None
    if column.not_null and texts.null_count:
        return None
    made: Any = None
    try:
        match column.kind:
            case Kind.TEXT if _fits(texts, column):
                made = texts
            case Kind.INT64 if _all(texts, _INTEGER):
                made = pc.cast(texts, pa.int64())
            case Kind.FLOAT64 if _all(texts, _FLOAT):
                made = pc.cast(texts, pa.float64())
            case Kind.DECIMAL if _all(texts, _decimal(column)):
                made = pc.cast(texts, pa.float64())  # whole numbers become integers in the table
            case Kind.DATE if _all(texts, _DATE):
                pc.cast(texts, pa.date32())
                made = texts
            case Kind.TIMESTAMP if _all(texts, _MOMENT):
                pc.cast(texts, pa.timestamp("us"))
                made = texts
    except pa.ArrowInvalid:  # there is no such day
        return None
    return None if made is None else list(made.to_pylist())


def _all(texts: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py() is True


def _fits(texts: pa.Array, column: TableColumn) -> bool:
    import pyarrow.compute as pc

    if pc.any(pc.match_substring(texts, "\0"), min_count=0).as_py():
        return False
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    return not column.longest or longest <= column.longest


def _decimal(column: TableColumn) -> str:
    whole = min(column.precision - column.scale, 9) if column.precision else 9
    scale = min(column.scale, 6) if column.precision else 6
    if whole < 1:
        return "^$"  # none
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    return f"^-?[0-9]{{1,{whole}}}{fraction}$"
