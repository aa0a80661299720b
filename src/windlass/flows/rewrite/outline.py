"""The flow `rewrite` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Journalled, Words, step_in

_REWRITE = "windlass.flows.rewrite.steps"

REWRITE: Flow[Any] = Flow(
    "rewrite",
    (
        step_in(
            _REWRITE,
            "read_rows",
            scheduler_name="reading_from_database",
            doc="Selects the rows, and copies them with their positions into a staging table.",
        ),
        step_in(
            _REWRITE,
            "change_rows",
            "read_rows",
            scheduler_name="adding_row",
            doc="Computes the new rows.",
        ),
        step_in(
            _REWRITE,
            "back_up_rows",
            "change_rows",
            scheduler_name="backup_table",
            doc="Backs the rows up; the new backup replaces the previous one.",
        ),
        step_in(
            _REWRITE,
            "delete_rows",
            "back_up_rows",
            scheduler_name="delete_records_from_table",
            doc="Deletes duplicates, and the rows that the spec says to delete.",
        ),
        step_in(
            _REWRITE,
            "write_rows",
            "delete_rows",
            scheduler_name="writing_to_database",
            doc="Writes the rows back in place and stamps them, in short transactions.",
        ),
        step_in(
            _REWRITE,
            "stamp_rows",
            "write_rows",
            scheduler_name="updating_exported_at",
            doc="Counts what was stamped, and writes the run's end.",
        ),
    ),
    context="windlass.flows.rewrite.context:Rewriting",
    spec="windlass.spec.rewrite:RewriteSpec",
    entries="windlass.spec.fields.rewrite:REWRITE",
    known_by="table",
    help="Change rows of a table in place: select, change, back up, write, stamp.\n\n"
    "Killed at any moment, the same command resumes, with the same result. Rows that others change"
    " while it runs are left as they are. `windlass plan -f SPEC` shows what it would do.",
    past="windlass.flows.past:past_of",
    plan="windlass.flows.rewrite.planned:plan_rewrite",
    lineage="windlass.flows.rewrite.lineage:lineage_of",
    journalled=Journalled(
        undo="windlass.flows.rewrite.undo:undo_rewrite",
        foresee="windlass.flows.rewrite.undo:foresee_rewrite",
        status="windlass.flows.rewrite.status:rewrite_status",
        left="windlass.flows.rewrite.status:rewrite_left",
        skips_rows=True,
        beside="windlass.flows.rewrite.undo:restore_rewrite",
    ),
    words=Words("rewrite", "Rewriting", "Rewrote", "rewrite", "Reading the table", repairs=False),
)
