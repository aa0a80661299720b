"""Places of bars and curves, in the units of an SVG's view box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from windlass.model.units import bytes_text, count_text, seconds_text

WIDTH, HEIGHT = 1000, 200
LEAST_WIDTH = 4  # of a bar: a narrower one could not be seen
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """When one step was at work, within the whole run."""

    name: str
    after: tuple[str, ...]
    x: float
    width: float
    start_seconds: float
    seconds: float
    items: int
    resumed: int
    retries: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Curve:
    """An amount over time: the outline of its area, and what the axes say."""

    what: str
    points: str
    line: str
    peak: str
    mean: str
    seconds: str
    every: str


def bars(steps: Sequence[Mapping[str, Any]], seconds: float) -> list[Bar]:
    """One for each step, in the order in which they began."""
    whole = max([seconds, *(one["start_seconds"] + one["seconds"] for one in steps)], default=0)
    return [_bar(one, whole or 1.0) for one in sorted(steps, key=lambda one: one["start_seconds"])]


def _bar(one: Mapping[str, Any], whole: float) -> Bar:
    width = max(one["seconds"] / whole * WIDTH, LEAST_WIDTH)
    x = min(one["start_seconds"] / whole * WIDTH, WIDTH - width)
    return Bar(
        one["name"],
        tuple(one["after"]),
        round(x, 1),
        round(width, 1),
        one["start_seconds"],
        one["seconds"],
        one["items"],
        one["resumed"],
        one["retries"],
        one["rows"],
        one["bytes"],
    )


def average(amounts: Sequence[int], every_seconds: float) -> float:
    """The average per second over intervals in which something arrived; 0 if they are too short to
    measure."""
    seconds = every_seconds * sum(map(bool, amounts))
    return sum(amounts) / seconds if seconds >= LEAST_SECONDS else 0.0


def curves(throughput: Mapping[str, Any], seconds: float) -> list[Curve]:
    """Curves of bytes and of rows per second, until the end of the run; only of those that arrived
    in several intervals."""
    every = throughput["every_seconds"]
    if not every:
        return []
    rest = [0] * (ceil(seconds / every) - len(throughput["bytes"]))
    found = [
        _curve("data", [*throughput["bytes"], *rest], every, lambda one: f"{bytes_text(one)}/s"),
        _curve(
            "rows", [*throughput["rows"], *rest], every, lambda one: f"{count_text(one)} rows/s"
        ),
    ]
    return [one for one in found if one]


def _curve(what: str, amounts: Sequence[int], every: float, text: Any) -> Curve | None:
    if len(amounts) < 2 or not any(amounts):
        return None
    peak, width = max(amounts), WIDTH / len(amounts)
    heights = [round(HEIGHT - one / peak * (HEIGHT - 4), 1) for one in amounts]
    line = " ".join(
        f"{round(at * width, 1)},{y} {round((at + 1) * width, 1)},{y}"
        for at, y in enumerate(heights)
    )
    return Curve(
        what,
        points=f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}",
        line=line,
        peak=text(peak / every),
        mean=text(average(amounts, every) or peak / every),
        seconds=seconds_text(every * len(amounts)),
        every=seconds_text(every),
    )
