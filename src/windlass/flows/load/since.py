"""Where reading begins in a source whose rows have a watermark, and which watermarks cannot be
compared. Pure.

Some rows are read twice rather than one not at all: a row that is read again has the same key. Rows
without a watermark are always read, and stop the load (`windlass.loading.expectations`). Texts are
compared as bytes on both sides, whatever the collation of their columns. Everything else is
compared by the source, which also decides what its exact text means.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from windlass.engines.registry import engine_of
from windlass.loading.columns import literal
from windlass.model.export import NUMBERS, Column, Kind
from windlass.model.inputs import QueryFrom
from windlass.model.load import TableColumn

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_MOMENTS = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.INSTANT)
_UNORDERED = (Kind.JSON, Kind.NESTED, Kind.BYTES)  # or by each engine in another way
_ANY_DIGITS = ("numeric", "hugeint", "uhugeint")  # types of which no number is too long


class Order(Enum):
    """How the source compares a watermark."""

    OWN = "own"  # by the order of its type
    BYTES = "bytes"  # a text, by its bytes
    NUMBERS = "numbers"  # texts, as numbers; in SQLite, whose columns have no types
    MOMENTS = "moments"  # texts, as times; likewise in SQLite


class CannotCompare(ValueError):
    """A source could not find later rows by this watermark. `hint` is what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def order_of(
    given: QueryFrom, field: Column | None, column: TableColumn | None, overlap_seconds: float
) -> Order:
    """How a source compares a field that goes into a column, which is None if it is created.

    Raises:
        CannotCompare: the texts of the field have another order than the values of the column.
    """
    if field is None:
        return Order.OWN
    kind = column.kind if column else Kind.TEXT
    if field.is_list or field.kind in _UNORDERED or (field.is_cast and not _is_number(field, kind)):
        raise CannotCompare(
            f"the watermark {field.name} is {field.type} in the source, and its text does not tell"
            " which value is the last",
            "read a query in which it is a number, a time or a text: select ...,"
            f" cast({field.name} as ...)",
        )
    if field.kind is not Kind.TEXT or field.is_cast:
        return Order.OWN
    if kind in NUMBERS or kind in _MOMENTS:
        if _is_sqlite(given):
            return Order.NUMBERS if kind in NUMBERS else Order.MOMENTS
        assert column is not None
        raise CannotCompare(
            f"the watermark {field.name} is text in the source, which would compare it as text, and"
            f" {column.type} in the table: as a text, 10 comes before 9",
            f"read a query in which it is a {column.type}: select ..., cast({field.name} as ...)",
        )
    if overlap_seconds:
        raise CannotCompare(
            f"the watermark {field.name} is text: no seconds can be taken off it",
            "read a query in which it is a timestamp, or leave out overlap-seconds",
        )
    return Order.BYTES


def _is_number(field: Column, kind: Kind | None) -> bool:
    """Read as text, as no other engine has such numbers, and a number on both sides."""
    return field.type.lower() in _ANY_DIGITS and kind in NUMBERS


def from_watermark(
    given: QueryFrom, column: str, last: str, overlap_seconds: float, order: Order = Order.OWN
) -> QueryFrom:
    """The rows from the last value on, including that value; from `overlap_seconds` before it, if
    there is an overlap."""
    quoted = '"' + column.replace('"', '""') + '"'
    since = earlier(last, overlap_seconds)
    condition = f"({_later(given, quoted, since, order)} or {quoted} is null)"
    if given.relation:
        where = f"({given.where}) and {condition}" if given.where else condition
        return replace(given, where=where)
    query = given.query.rstrip().rstrip(";")
    parts = ("select * from (", query, "\n) as windlass_rows where ", condition)
    return replace(given, query="".join(parts))


def _is_sqlite(given: QueryFrom) -> bool:
    return engine_of(given.source, "source").schemes[0] == "sqlite"


def _later(given: QueryFrom, quoted: str, since: str, order: Order) -> str:
    match order:
        case Order.BYTES:
            bytes_ = "binary" if _is_sqlite(given) else '"C"'
            return f"{quoted} collate {bytes_} >= {literal(since)}"
        case Order.NUMBERS:  # texts that are no number are read as well, and refused by the table
            return f"cast({quoted} as numeric) >= {since} or {quoted} glob '*[^0-9.+-]*'"
        case Order.MOMENTS:  # likewise texts that SQLite does not read as a time
            return _later_moment(quoted, since)
    is_number = _is_sqlite(given) and _NUMBER.fullmatch(since)
    return f"{quoted} >= {since if is_number else literal(since)}"


def _later_moment(quoted: str, since: str) -> str:
    """A condition on a time, in whatever format its text is."""
    try:
        moment = datetime.fromisoformat(since).isoformat(sep=" ")
    except ValueError:
        return f"{quoted} >= {literal(since)}"
    return f"datetime({quoted}) >= datetime({literal(moment)}) or datetime({quoted}) is null"


def earlier(last: str, overlap_seconds: float) -> str:
    """The exact text of a watermark minus an overlap: in seconds for a time, as a plain number
    otherwise."""
    if not overlap_seconds:
        return last
    if _NUMBER.fullmatch(last):
        return format(Decimal(last) - Decimal(str(overlap_seconds)), "f")
    moment = datetime.fromisoformat(last) - timedelta(seconds=overlap_seconds)
    return moment.isoformat(sep=" ")
