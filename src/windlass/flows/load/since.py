"""Where reading begins in a source whose rows have a watermark. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from windlass.loading.columns import literal
from windlass.model.inputs import QueryFrom


def from_watermark(given: QueryFrom, column: str, last: str, overlap_seconds: float) -> QueryFrom:
    """The rows from the last value on, that value included; `overlap_seconds` before it."""
    quoted = '"' + column.replace('"', '""') + '"'
    condition = f"{quoted} >= {literal(earlier(last, overlap_seconds))}"
    if given.relation:
        where = f"({given.where}) and {condition}" if given.where else condition
        return replace(given, where=where)
    query = given.query.rstrip().rstrip(";")
    parts = ("select * from (", query, "\n) as windlass_rows where ", condition)
    return replace(given, query="".join(parts))


def earlier(last: str, overlap_seconds: float) -> str:
    """The exact text of a watermark, less an overlap: of a time in seconds, of a number as it
    is."""
    if not overlap_seconds:
        return last
    try:
        return str(Decimal(last) - Decimal(str(overlap_seconds)))
    except InvalidOperation:
        moment = datetime.fromisoformat(last) - timedelta(seconds=overlap_seconds)
        return moment.isoformat(sep=" ")
