"""The flow `count` as data."""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Words, step_in

COUNT: Flow[Any] = Flow(
    "count",
    (
        step_in("counting.steps", "look", doc="Looks whether the file is there."),
        step_in("counting.steps", "count_lines", "look", doc="Counts."),
    ),
    context="counting.context:Counting",
    spec="counting.spec:CountSpec",
    entries="counting.fields:COUNT",
    known_by="text-file",
    help="Count the lines of a file.",
    plan="counting.planned:plan_count",
    words=Words("count", "Counting", "Counted", "count", "Looking at the file"),
)
