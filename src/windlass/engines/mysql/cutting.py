"""Cuts a table into ranges of its key, if that begins with a whole number.

The server's estimate for a range is read from the key itself: no row is, unless a mapping chooses
them. Ranges need not have the same number of rows; each row is in exactly one, whatever it said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from windlass.engines.mysql.quoting import Quoted, listed, part, rows_of, text_of
from windlass.engines.mysql.quoting import Whole as Number
from windlass.engines.mysql.session import Session
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.translation import SourceTable

_FINE = 64  # equal steps that a span is cut into
_DEEPEST = 7


@dataclass(frozen=True, slots=True)
class Span:
    """Keys from `low` to `high`."""

    low: int
    high: int
    rows: int


Steps = Callable[[Span], Sequence[Span]]  # cuts a span into equal steps, and counts their rows


def cut_table(session: Session, found: SourceTable, count: int) -> Sequence[Range]:
    """About `count` ranges with about as many rows each."""
    if count < 2 or not found.pages_by:
        return [Whole()]
    (name,) = found.pages_by
    rows = rows_of(found.name, found.selected)
    low, high = session.one(part("select min({0}), max({0}) from {1}", Quoted(name), rows))
    if low is None or high is None:
        return [Whole()]

    def steps(span: Span) -> Sequence[Span]:
        return (_estimated if found.selected is None else _counted)(session, found, span)

    first = steps(Span(int(low), int(high), 0))
    wanted = sum(one.rows for one in first) / count
    pieces = (piece for one in first for piece in _pieces(steps, one, wanted))
    edges: list[int | None] = [None, *_bounds(pieces, wanted), None]
    return [KeyRange((name,), _text(low), _text(high)) for low, high in pairwise(edges)]


def _pieces(steps: Steps, span: Span, wanted: float, depth: int = 1) -> Iterator[Span]:
    """Spans in order. A span with more than half of the rows wanted is cut again."""
    if span.rows <= max(wanted / 2, 1) or span.low == span.high or depth == _DEEPEST:
        yield span
        return
    for one in steps(span):
        yield from _pieces(steps, one, wanted, depth + 1)


def _counted(session: Session, found: SourceTable, span: Span) -> Sequence[Span]:
    parts = session.run(
        part(
            "select min({key}), max({key}), count(*) from {rows}"
            " where {key} between {low} and {high}"
            " group by floor((cast({key} as decimal(20, 0)) - {low}) / {width}) order by 1",
            key=Quoted(found.pages_by[0]),
            rows=rows_of(found.name, found.selected),
            low=Number(span.low),
            high=Number(span.high),
            width=Number(_width(span)),
        )
    )
    return [Span(int(low or 0), int(high or 0), int(rows or 0)) for low, high, rows in parts]


def _estimated(session: Session, found: SourceTable, span: Span) -> Sequence[Span]:
    """One EXPLAIN of all steps: the server looks both ends of each up in the key."""
    name, width = found.pages_by[0], _width(span)
    keys = [*([found.primary_key] if found.primary_key else []), *found.uniques]
    key = next(one for one in keys if one.columns[0] == name)
    lows = range(span.low, span.high + 1, width)
    asked = [
        part(
            "select {key} from {rows} force index ({index}) where {key} between {low} and {high}",
            key=Quoted(name),
            rows=rows_of(found.name, None),
            index=Quoted(key.name),
            low=Number(low),
            high=Number(min(low + width - 1, span.high)),
        )
        for low in lows
    ]
    query = part("explain format = traditional {}", listed(asked, " union all "))
    plans, columns = session.named(text_of(query))
    rows = [int(one[columns.index("rows")] or 0) for one in plans]
    return [
        Span(low, min(low + width - 1, span.high), many)
        for low, many in zip(lows, rows, strict=False)
    ]


def _width(span: Span) -> int:
    return (span.high - span.low) // _FINE + 1


def _bounds(pieces: Iterable[Span], wanted: float) -> Iterator[int]:
    """The keys at which ranges begin."""
    held = 0
    for one in pieces:
        if held >= wanted:
            yield one.low
            held = 0
        held += one.rows


def _text(bound: int | None) -> tuple[str, ...] | None:
    return None if bound is None else (str(bound),)
