"""Watermarks of what is loaded, as exact text of the source's type. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from windlass.model.export import NUMBERS, Kind
from windlass.model.load import Load


def kind_of_mark(load: Load) -> Kind | None:
    """The watermark's kind: its own, or that of the column that it goes into."""
    for one in load.fields:
        if one.name == load.watermark and one.column:
            return one.column.kind
    for given in load.assigned:
        if given.field == load.watermark and not given.sql and not given.mask:
            column = load.table.column(given.column)
            return column.kind if column else None
    return None


def highest(load: Load, texts: Sequence[str]) -> str:
    """The highest of several; empty if there is none."""
    number = kind_of_mark(load) in NUMBERS
    if number:
        return max(texts, key=Decimal, default="")
    return max(texts, default="")


def mark_of(load: Load, so_far: str, values: Iterable[Any]) -> str:
    """The highest of a batch, and of what was before."""
    texts = [mark_text(one) for one in values if one is not None]
    return highest(load, [one for one in (so_far, *texts) if one])


def mark_text(value: Any) -> str:
    """Exact, and such that texts of one type sort as the values do, but for numbers."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else repr(value)
