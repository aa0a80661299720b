"""Runs of whole numbers that a key has without a gap.

A value within a run refers to a row, so only the others are looked up. That spares most keys that
count up: of 300,000, MariaDB 10.11 looks up 0.1 instead of 0.6 s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg import sql

from windlass.engines.mysql.quoting import Quoted, Whole, listed, part, table
from windlass.engines.mysql.session import Session
from windlass.model.translation import SourceColumn, SourceTable

_BLOCK = 4096  # numbers; one that lacks none is counted as a whole
_MOST_RUNS = 64
_FEWER = 8  # a smaller child has fewer values to look up than the parent has to be counted
_WHOLE = re.compile(r"(?:tiny|small|medium|big)?int\b")


def beyond_runs(
    session: Session,
    child: SourceTable,
    parent: SourceTable,
    pair: tuple[SourceColumn, SourceColumn],
) -> sql.Composable | None:
    """A condition on the child's column, which is the first of the pair. It is true of every number
    outside of the runs of the parent's. None if it would spare little, or for other types."""
    ours, theirs = pair
    keys = [*([parent.primary_key] if parent.primary_key else []), *parent.uniques]
    if (
        parent.selected is not None
        or child.rows < parent.rows / _FEWER
        or not all(_WHOLE.match(one.type) for one in (ours, theirs))
        or (theirs.name,) not in [one.columns for one in keys]
    ):
        return None
    query = part(
        "select {key} div {block} as b from {rows} where {key} >= 0 group by b"
        " having count(*) = {block}",
        key=Quoted(theirs.name),
        block=Whole(_BLOCK),
        rows=table(parent.name),
    )
    runs = _joined(sorted(int(block or 0) for (block,) in session.run(query)))
    if not 0 < len(runs) <= _MOST_RUNS:
        return None
    column, after = Quoted(ours.name), [one for _, one in runs]
    between = zip(after, [low for low, _ in runs[1:]], strict=False)
    gaps = [
        part("{} between {} and {}", column, Whole(low), Whole(high - 1)) for low, high in between
    ]
    outer = [
        part("{} < {}", column, Whole(runs[0][0])),
        part("{} >= {}", column, Whole(after[-1])),
    ]
    return part("({})", listed([*outer, *gaps], " or "))


def _joined(blocks: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open ranges of numbers."""
    runs: list[tuple[int, int]] = []
    for one in blocks:
        low, high = one * _BLOCK, (one + 1) * _BLOCK
        if runs and runs[-1][1] == low:
            runs[-1] = runs[-1][0], high
        else:
            runs.append((low, high))
    return runs
