"""The flow `convert` as data: a migration from PostgreSQL into another engine. Imports no
driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.validate.outline import VALIDATE
from windlass.model.flow import Flow, step_in

_HERE = "windlass.flows.convert"
_STEPS, _PROOF = f"{_HERE}.steps", f"{_HERE}.proof"

CONVERT: Flow[Any] = Flow(
    "convert",
    (
        step_in(
            _STEPS,
            "extract_source_schema",
            lasting=True,
            doc="Takes the source's snapshot, plans, and begins the run or resumes it.",
        ),
        step_in(
            _STEPS,
            "create_target_tables",
            "extract_source_schema",
            doc="Sets existing tables aside; creates the tables, with their keys and checks.",
        ),
        step_in(
            _STEPS,
            "copy_tables",
            "create_target_tables",
            items="table_items",
            doc="Copies the rows of a table, in one transaction with its line in the journal.",
        ),
        step_in(
            _STEPS,
            "create_indexes",
            "copy_tables",
            items="index_items",
            pipelined=True,
            doc="Builds the indexes, and those of unique constraints.",
        ),
        step_in(
            _STEPS,
            "validate_foreign_keys",
            "create_indexes",
            doc="Looks for rows that refer to no row.",
        ),
        step_in(
            _STEPS,
            "set_sequences",
            "validate_foreign_keys",
            doc="Sets the next number of each column that counts up.",
        ),
        step_in(
            _STEPS,
            "create_views",
            "set_sequences",
            doc="Creates the views, and removes those whose rows are not the source's.",
        ),
        step_in(
            _PROOF,
            "validate_content",
            "create_views",
            items="content_items",
            listed_by="prepare_validation",
            doc="Hashes the rows of each table on the target.",
        ),
        step_in(
            _PROOF,
            "find_differences",
            "validate_content",
            reads=("validate_content",),
            doc="Compares that with what the source was when it was copied.",
        ),
        step_in(
            _STEPS,
            "generate_migration_summary",
            "find_differences",
            reads=("find_differences",),
            doc="Says which snapshots were read.",
        ),
    ),
    context=f"{_HERE}.context:Conversion",
    spec=MIGRATE.spec,
    entries="",  # a spec file belongs to `migrate`: its target decides the flow
    past=f"{_HERE}.past:past_of",
    plan=f"{_HERE}.planned:plan_conversion",
    words=replace(MIGRATE.words, repairs=False),
    copies=("copy_tables",),
)

COMPARE_CONVERTED: Flow[Any] = replace(
    VALIDATE,
    name="compare_converted",
    words=replace(VALIDATE.words, repairs=False),
    steps=(
        step_in(
            f"{_HERE}.comparison",
            "read_both_sides",
            lasting=True,
            doc="Takes the source's snapshot, and finds the tables of both sides.",
        ),
        step_in(
            _PROOF,
            "validate_content",
            "read_both_sides",
            items="content_items",
            listed_by="prepare_validation",
            doc="Hashes the rows of each table on both sides.",
        ),
        step_in(
            _PROOF,
            "find_differences",
            "validate_content",
            reads=("read_both_sides", "validate_content"),
            doc="Compares the digests, and finds the rows that differ.",
        ),
        step_in(
            f"{_HERE}.comparison",
            "generate_validation_report",
            "find_differences",
            reads=("read_both_sides", "find_differences"),
            doc="Reports the result; fails, and names the differences, if there are any.",
        ),
    ),
    context=f"{_HERE}.comparison:ConvertedComparison",
)
