"""What the lines of a run add up to, as the server sums them: a run of thousands of tables has tens
of thousands of lines, and their notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

Session = Connection[Any]


@dataclass(frozen=True, slots=True)
class StepSum:
    """The lines of one step. `items` names them only for the steps that were asked for."""

    step: str
    lines: int
    rows: int
    size_bytes: int
    seconds: float
    items: frozenset[str]


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one piece of work has done."""

    rows: int
    size_bytes: int
    seconds: float


def read_step_sums(connection: Session, run: str, named: Sequence[str]) -> list[StepSum]:
    """By step, in the order of their last lines; `named` are the steps whose items are named."""
    rows = connection.execute(
        "select step, count(*)::int, sum(rows)::bigint, sum(size_bytes)::bigint, sum(seconds),"
        " coalesce(array_agg(item) filter (where step = any(%s)), '{}')"
        " from windlass.line where run = %s group by step order by max(at)",
        (list(named), run),
    ).fetchall()
    return [
        StepSum(step, lines, total, size_bytes, seconds, frozenset(items))
        for step, lines, total, size_bytes, seconds, items in rows
    ]


def read_amounts(connection: Session, run: str, steps: Sequence[str]) -> dict[str, Amounts]:
    """By item of these steps."""
    rows = connection.execute(
        "select item, rows, size_bytes, seconds from windlass.line"
        " where run = %s and step = any(%s)",
        (run, list(steps)),
    ).fetchall()
    return {row[0]: Amounts(*row[1:]) for row in rows}
