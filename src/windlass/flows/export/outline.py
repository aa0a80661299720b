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
            opens=True,  # one process reads all relations, in the snapshot that it takes
            doc="Plans the export, and refuses what is not possible.",
        ),
        step_in(
            _EXPORT,
            "extract",
            "read_source",
            items="exports",
            doc=(
                "Writes the rows into files, and last the manifest, which marks them as complete."
            ),
        ),
        step_in(
            _EXPORT,
            "check_objects",
            "extract",
            items="exports",
            pipelined=True,
            doc="Checks that every file exists and is complete.",
        ),
        step_in(
            _EXPORT,
            "load",
            "check_objects",
            items="exports",
            pipelined=True,
            doc="Loads the files into the warehouse, once per run.",
        ),
        step_in(
            _EXPORT,
            "check_rows",
            "load",
            items="exports",
            pipelined=True,
            doc="Checks that as many rows arrived as were read.",
        ),
        step_in(
            _EXPORT,
            "clean_up",
            "check_rows",
            items="exports",
            pipelined=True,
            always=True,
            doc="Removes the run's files, also after a failure.",
        ),
    ),
    context="windlass.flows.export.context:Exporting",
    spec="windlass.spec.export:ExportSpec",
    entries="windlass.spec.fields.export:EXPORT",
    known_by="to",
    past="windlass.flows.export.past:past_of",
    plan="windlass.flows.export.planned:plan_export",
    lineage="windlass.flows.export.lineage:lineage_of",
    words=Words(
        "export",
        "Exporting",
        "Exported",
        "export",
        "Reading the source",
        kept="Files and loads that are complete stay",
        repairs=False,
    ),
    copies=("extract",),
)
