"""The watermark of a load: the column that gets it, its type in the source, and its text. Pure."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from windlass.engines.incoming.shape import column_of
from windlass.model.export import Column, Kind
from windlass.model.load import Load, TableColumn


def column_of_mark(load: Load) -> TableColumn | None:
    """The column that gets the watermark unchanged."""
    for one in load.assigned:
        if one.field == load.watermark and not one.sql and not one.mask:
            return column_of(load, one.column)
    return None


def declared(load: Load) -> Column | None:
    """The source's own type of the watermark, if it is not just text."""
    for one in load.fields:
        if one.name == load.watermark and one.column and one.column.kind is not Kind.TEXT:
            return one.column
    return None


def written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else repr(value)
