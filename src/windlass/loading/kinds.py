"""Which kinds of values a column of another kind holds without changing them. Pure.

A column that holds some of the values (int32 those of int64) is no problem: a value that does not
fit is a bad value, by its place.
"""

from __future__ import annotations

from windlass.model.export import NUMBERS, Column, Kind
from windlass.model.load import TableColumn

_HELD: dict[Kind, tuple[Kind, ...]] = {
    Kind.BOOLEAN: (Kind.BOOLEAN,),
    **dict.fromkeys(NUMBERS, NUMBERS),
    Kind.JSON: (Kind.JSON,),
    Kind.UUID: (Kind.UUID,),
    Kind.BYTES: (Kind.BYTES,),
    Kind.DATE: (Kind.DATE, Kind.TIMESTAMP),
    Kind.TIME: (Kind.TIME,),
    Kind.TIMESTAMP: (Kind.TIMESTAMP,),
    Kind.INSTANT: (Kind.INSTANT,),
    Kind.NESTED: (Kind.JSON, Kind.NESTED),
}


def cannot_hold(column: TableColumn, given: Column) -> str:
    """Why a column cannot have the values of a typed field; empty if it can, or if the target has
    to find out."""
    if column.kind is None or given.kind is Kind.TEXT:  # text is read as the column's type
        return ""
    if given.is_list:
        return "" if column.kind in (Kind.JSON, Kind.NESTED) else "which holds no lists"
    if column.kind is Kind.TEXT:
        return "which shows no bytes" if given.kind in (Kind.BYTES, Kind.NESTED) else ""
    if column.kind in _HELD.get(given.kind, ()):
        return ""
    if given.kind is Kind.TIMESTAMP and column.kind is Kind.INSTANT:
        return "which needs a time zone that the values do not have"
    if given.kind is Kind.INSTANT and column.kind is Kind.TIMESTAMP:
        return "which has no time zone, so that the moment would depend on the reader"
    if given.kind in (Kind.TIMESTAMP, Kind.INSTANT) and column.kind is Kind.DATE:
        return "which loses the time of day"
    return "which does not hold such values"
