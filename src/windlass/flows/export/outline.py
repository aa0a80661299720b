"""The flow `export` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Words, step_in

_EXPORT = "windlass.flows.export.steps"

EXPORT: Flow[Any] = Flow(
    "export",
    (
        step_in(
            _EXPORT,
            "read_source",
            lasting=True,
            doc="Plans the export, and holds its snapshot until all other tasks have ended.",
        ),
        step_in(
            _EXPORT,
            "extract",
            "read_source",
            items="exports",
            doc=("Writes the rows into files, and last the manifest that says that all are there."),
        ),
        step_in(
            _EXPORT,
            "check_objects",
            "extract",
            items="exports",
            pipelined=True,
            doc="Makes sure that every file is there, with all that was written into it.",
        ),
        step_in(
            _EXPORT,
            "load",
            "check_objects",
            items="exports",
            pipelined=True,
            doc="Loads the files into the warehouse, once for a run.",
        ),
        step_in(
            _EXPORT,
            "check_rows",
            "load",
            items="exports",
            pipelined=True,
            doc="Makes sure that as many rows have arrived as were read.",
        ),
        step_in(
            _EXPORT,
            "clean_up",
            "check_rows",
            items="exports",
            pipelined=True,
            always=True,
            doc="Removes the run's files, after a failure as well.",
        ),
    ),
    context="windlass.flows.export.context:Exporting",
    spec="windlass.spec.export:ExportSpec",
    entries="windlass.spec.fields.export:EXPORT",
    known_by="to",
    past="windlass.flows.export.past:past_of",
    plan="windlass.flows.export.planned:plan_export",
    words=Words("export", "Exporting", "Exported", "export", "Reading the source"),
    copies=("extract",),
)
