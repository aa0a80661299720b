"""A table into ranges of its key, if that begins with a whole number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from windlass.engines.mysql.quoting import Quoted, part, table
from windlass.engines.mysql.quoting import Whole as Number
from windlass.engines.mysql.session import Session
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.translation import SourceTable

_FINE = 64  # pieces of equal width per range, which are put together by their rows


def cut_table(session: Session, found: SourceTable, count: int) -> Sequence[Range]:
    """About `count` ranges with as many rows each."""
    if count < 2 or not found.pages_by:
        return [Whole()]
    (name,) = found.pages_by
    key, rows = Quoted(name), table(found.name)
    low, high = session.one(part("select min({0}), max({0}) from {1}", key, rows))
    if low is None or high is None:
        return [Whole()]
    least, most = int(low), int(high)
    width = (most - least) // (count * _FINE) + 1
    counts = session.run(
        part(
            "select floor((cast({key} as decimal(20, 0)) - {least}) / {width}), count(*)"
            " from {rows} group by 1 order by 1",
            key=key,
            least=Number(least),
            width=Number(width),
            rows=rows,
        )
    )
    pieces = [(int(at or 0), int(many or 0)) for at, many in counts]
    bounds = [least + at * width for at in _bounds(pieces, count)]
    edges: list[int | None] = [None, *bounds, None]
    return [KeyRange((name,), _text(low), _text(high)) for low, high in pairwise(edges)]


def _bounds(pieces: Sequence[tuple[int, int]], count: int) -> Iterator[int]:
    """Numbers of pieces that begin a range."""
    wanted = sum(many for _, many in pieces) / count
    held = 0.0
    for at, many in pieces:
        if held >= wanted:
            yield at
            held = 0.0
        held += many


def _text(bound: int | None) -> tuple[str, ...] | None:
    return None if bound is None else (str(bound),)
