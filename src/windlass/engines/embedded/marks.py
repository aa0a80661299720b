"""The watermark of the staged rows: the highest value, as exact text.

Values are compared by the type that the source declares. A text is compared by the type of the
column it goes into; if that is text as well, as bytes. The source compares them in the same way
(`windlass.flows.load.since`).
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from windlass.engines.embedded.dialect import Dialect, Session, fetch
from windlass.engines.embedded.names import staged_rows
from windlass.engines.embedded.shape import column_of
from windlass.engines.statements import names, statement
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


def highest(session: Session, dialect: Dialect, load: Load) -> str:
    """The highest value of the staged rows; empty if none has a finite one."""
    column = column_of_mark(load) if load.watermark else None
    if column is None:
        return ""
    value = names(column.name)
    query = statement(
        "select {text} from {staged} where {order} is not null order by {order} desc limit 1",
        text=dialect.exact_text(value), staged=staged_rows(),
        order=dialect.ordered(value, column, declared(load)),
    )  # fmt: skip
    return next((written(value) for (value,) in fetch(session, query)), "")


def written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else repr(value)
