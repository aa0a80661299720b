"""The flow `load` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Journalled, Words, step_in

_LOAD = "windlass.flows.load.steps"

LOAD: Flow[Any] = Flow(
    "load",
    (
        step_in(
            _LOAD,
            "read_inputs",
            opens=True,
            doc="Opens the inputs, fits their fields to the tables, and refuses what cannot be.",
        ),
        step_in(
            _LOAD,
            "stage_rows",
            "read_inputs",
            items="staged_items",
            doc="Copies the records of each input into a staging table.",
        ),
        step_in(
            _LOAD,
            "check_rows",
            "stage_rows",
            items="load_items",
            pipelined=True,
            doc="Checks keys and expectations on the staged rows.",
        ),
        step_in(
            _LOAD,
            "judge_rows",
            "check_rows",
            doc="Refuses the run if rows of any load cannot be loaded: nothing has changed yet.",
        ),
        step_in(
            _LOAD,
            "apply_rows",
            "judge_rows",
            items="load_items",
            doc="Loads the staged rows into each table, in one transaction that can be undone.",
        ),
        step_in(
            _LOAD,
            "clean_up",
            "apply_rows",
            items="load_items",
            reads=("read_inputs", "judge_rows"),
            doc="Drops the staging tables.",
        ),
    ),
    context="windlass.flows.load.context:Loading",
    spec="windlass.spec.load:LoadSpec",
    entries="windlass.spec.fields.load:LOAD",
    known_by="loads",
    past="windlass.flows.load.past:past_of",
    plan="windlass.flows.load.planned:plan_load",
    lineage="windlass.flows.load.lineage:lineage_of",
    journalled=Journalled(
        undo="windlass.flows.load.journalled:undo_load",
        foresee="windlass.flows.load.journalled:foresee_load",
        status="windlass.flows.load.journalled:load_status",
        left="windlass.flows.load.journalled:load_left",
        skips_rows=True,
    ),
    words=Words("load", "Loading", "Loaded", "load", "Reading the inputs", repairs=False),
    copies=("stage_rows",),
)
