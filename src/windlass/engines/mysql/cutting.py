"""Cuts a table into ranges of its key, if that begins with a whole number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from windlass.engines.mysql.quoting import Quoted, part, rows_of
from windlass.engines.mysql.quoting import Whole as Number
from windlass.engines.mysql.session import Session
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.translation import SourceTable

_FINE = 256  # equal steps that a span is cut into
_DEEPEST = 5


def cut_table(session: Session, found: SourceTable, count: int) -> Sequence[Range]:
    """About `count` ranges with as many rows each."""
    if count < 2 or not found.pages_by:
        return [Whole()]
    (name,) = found.pages_by
    rows = rows_of(found.name, found.selected)
    low, high = session.one(part("select min({0}), max({0}) from {1}", Quoted(name), rows))
    if low is None or high is None:
        return [Whole()]
    (total,) = session.one(part("select count(*) from {}", rows))
    wanted = int(total or 0) / count
    pieces = _pieces(session, found, Span(int(low), int(high), int(total or 0)), wanted)
    edges: list[int | None] = [None, *_bounds(pieces, wanted), None]
    return [KeyRange((name,), _text(low), _text(high)) for low, high in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Span:
    """Keys from `low` to `high`; both exist."""

    low: int
    high: int
    rows: int


def _pieces(
    session: Session, found: SourceTable, span: Span, wanted: float, depth: int = 0
) -> Iterator[Span]:
    """Spans in order. A span with more than half of the rows wanted is cut again."""
    if span.rows <= max(wanted / 2, 1) or span.low == span.high or depth == _DEEPEST:
        yield span
        return
    width = (span.high - span.low) // _FINE + 1
    parts = session.run(
        part(
            "select min({key}), max({key}), count(*) from {rows}"
            " where {key} between {low} and {high}"
            " group by floor((cast({key} as decimal(20, 0)) - {low}) / {width}) order by 1",
            key=Quoted(found.pages_by[0]),
            rows=rows_of(found.name, found.selected),
            low=Number(span.low),
            high=Number(span.high),
            width=Number(width),
        )
    )
    for low, high, rows in parts:
        piece = Span(int(low or 0), int(high or 0), int(rows or 0))
        yield from _pieces(session, found, piece, wanted, depth + 1)


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
