"""The flow `rewrite` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Words, step_in

_REWRITE = "windlass.flows.rewrite.steps"

REWRITE: Flow[Any] = Flow(
    "rewrite",
    (
        step_in(
            _REWRITE,
            "reading_from_database",
            doc="Picks the rows, and copies them with their positions into a staging table.",
        ),
        step_in(
            _REWRITE, "adding_row", "reading_from_database", doc="Computes what the rows become."
        ),
        step_in(
            _REWRITE,
            "backup_table",
            "adding_row",
            doc="Copies what may be wanted back, and lets it replace the backup before.",
        ),
        step_in(
            _REWRITE,
            "delete_records_from_table",
            "backup_table",
            doc="Takes out duplicates, and what else the spec asks for.",
        ),
        step_in(
            _REWRITE,
            "writing_to_database",
            "delete_records_from_table",
            doc="Writes the rows back in place.",
        ),
        step_in(
            _REWRITE,
            "updating_exported_at",
            "writing_to_database",
            doc="Stamps the rows that were written, and writes the run's end.",
        ),
    ),
    context="windlass.flows.rewrite.context:Rewriting",
    spec="windlass.spec.rewrite:RewriteSpec",
    undo="windlass.flows.rewrite.steps:undo_rewrite",
    foresee="windlass.flows.rewrite.steps:foresee_rewrite",
    status="windlass.flows.rewrite.steps:rewrite_status",
    past="windlass.flows.past:past_of",
    plan="windlass.flows.rewrite.planned:plan_rewrite",
    words=Words("rewrite", "Rewriting", "Rewrote", "rewrite", "Reading the table"),
)
