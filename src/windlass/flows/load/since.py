"""Where reading begins in a source whose rows have a watermark. Pure.

Rather some rows twice than one not at all: what is read again has the same key. Rows without a
watermark are always read, and stop the load (`windlass.loading.expectations`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from windlass.engines.registry import engine_of
from windlass.loading.columns import literal
from windlass.model.inputs import QueryFrom

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def from_watermark(given: QueryFrom, column: str, last: str, overlap_seconds: float) -> QueryFrom:
    """The rows from the last value on, that value included; `overlap_seconds` before it."""
    quoted = '"' + column.replace('"', '""') + '"'
    since = earlier(last, overlap_seconds)
    is_sqlite = engine_of(given.source, "source").schemes[0] == "sqlite"
    later = _in_sqlite(quoted, since) if is_sqlite else f"{quoted} >= {literal(since)}"
    condition = f"({later} or {quoted} is null)"
    if given.relation:
        where = f"({given.where}) and {condition}" if given.where else condition
        return replace(given, where=where)
    query = given.query.rstrip().rstrip(";")
    parts = ("select * from (", query, "\n) as windlass_rows where ", condition)
    return replace(given, query="".join(parts))


def _in_sqlite(quoted: str, since: str) -> str:
    """SQLite compares times as text, however they are written, and any number is less than any
    text."""
    if _NUMBER.fullmatch(since):
        return f"{quoted} >= {since}"
    text = f"{quoted} >= {literal(since)}"
    try:
        moment = datetime.fromisoformat(since).isoformat(sep=" ")
    except ValueError:
        return text
    return f"({text} or datetime({quoted}) >= datetime({literal(moment)}))"


def earlier(last: str, overlap_seconds: float) -> str:
    """The exact text of a watermark, less an overlap: of a time in seconds, of a number as it
    is."""
    if not overlap_seconds:
        return last
    if _NUMBER.fullmatch(last):
        return format(Decimal(last) - Decimal(str(overlap_seconds)), "f")
    moment = datetime.fromisoformat(last) - timedelta(seconds=overlap_seconds)
    return moment.isoformat(sep=" ")
