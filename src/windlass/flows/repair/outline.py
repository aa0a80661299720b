"""The flow `repair` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.flows.validate.outline import VALIDATE
from windlass.model.flow import Flow, Journalled, Words, step_in

_REPAIR = "windlass.flows.repair.steps"

REPAIR: Flow[Any] = Flow(
    "repair",
    (
        step_in(
            _REPAIR,
            "repair_rows",
            doc="Makes rows of the target equal to the source's, and sets the old ones aside.",
        ),
        step_in(
            _REPAIR,
            "repair_large_objects",
            "repair_rows",
            doc="Copies differing large objects again, and sets the old ones aside.",
        ),
        step_in(
            _REPAIR,
            "repair_sequences",
            "repair_large_objects",
            doc="Sets sequences that differ, and notes their old values.",
        ),
    ),
    context="windlass.flows.validate.context:Comparison",
    spec="windlass.spec.migrate:Spec",
    journalled=Journalled(
        undo="windlass.flows.repair.undo:undo_repair",
        foresee="windlass.flows.repair.undo:foresee_repair",
        status="windlass.flows.repair.status:repair_status",
    ),
    words=Words("repair", "Repairing", "Repaired", "repair", "Comparing both databases"),
)

# A comparison that may repair what it finds, or that ends the run of an earlier repair.
VERIFY: Flow[Any] = replace(
    VALIDATE.replacing(
        VALIDATE.last.name,
        step_in(
            _REPAIR,
            "repair_differences",
            *VALIDATE.last.after,
            asks=True,
            doc="Makes the target equal to the source, if that was asked for.",
        ),
    ),
    journalled=REPAIR.journalled,
)
