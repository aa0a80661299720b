"""The flow `cutover` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.model.flow import Flow, Words, step_in

_STEPS = "windlass.flows.cutover.steps"
_LOOK = step_in(
    _STEPS,
    "find_blockers",
    doc="Looks on both sides for everything that would make the cutover fail.",
)
_PROVE: Any = step_in(
    _STEPS,
    "prove_way_back",
    "find_blockers",
    doc="Creates the stream in the other direction, and waits for a marker to arrive through it.",
)

_RECOPY: Any = step_in(
    _STEPS,
    "copy_unstreamed",
    "prove_way_back",
    doc="Copies unlogged tables and large objects again, refreshes materialized views, and measures"
    " how long that takes: the freeze does it again.",
)

CUTOVER: Flow[Any] = Flow(
    "cutover",
    (
        _LOOK,
        _PROVE,
        _RECOPY,
        step_in(
            _STEPS,
            "confirm",
            "copy_unstreamed",
            asks=True,
            doc="Asks, if somebody is there to answer.",
        ),
        step_in(
            _STEPS,
            "switch",
            "confirm",
            doc="Stops writers, waits for the last change, sets sequences, opens the other side.",
        ),
    ),
    context="windlass.flows.cutover.context:CuttingOver",
    spec="windlass.spec.cutover:CutoverSpec",
    entries="windlass.spec.fields.cutover:CUTOVER",
    help="Let applications write to the other database, or take it back in time.",
    words=Words("cutover", "Cutting over", "Cut over", "cutover", "Reading both databases"),
    resumes=False,
)

REHEARSAL: Flow[Any] = replace(
    CUTOVER,
    steps=(
        _LOOK,
        _PROVE,
        _RECOPY,
        step_in(
            _STEPS,
            "rehearse",
            "copy_unstreamed",
            doc="Measures each part of a cutover except the fence, and predicts how long it takes.",
        ),
    ),
    words=Words("cutover", "Rehearsing", "Rehearsed", "rehearsal", "Reading both databases"),
)
