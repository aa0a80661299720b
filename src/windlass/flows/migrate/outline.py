"""The flow `migrate` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.flows.validate.outline import VALIDATE
from windlass.model.flow import Flow, Journalled, Published, Step, Words, step_in

_MIGRATE = "windlass.flows.migrate.steps"
_TRANSFERS = "windlass.flows.migrate.rows"
_DEPENDENTS = "windlass.flows.migrate.dependents"
_NO = "windlass.flows.migrate.needless"  # which steps have nothing to do


def _validating(
    name: str, *after: str, pipelined: bool = False, reads: tuple[str, ...] = ()
) -> Step[Any]:
    """A step of `validate`, at its place in this flow."""
    return replace(VALIDATE.step(name), after=after, pipelined=pipelined, reads=reads)


MIGRATE: Flow[Any] = Flow(
    "migrate",
    (
        step_in(
            _MIGRATE,
            "extract_source_schema",
            doc="Reads both sides, makes the plan and finds every problem; writes nothing.",
        ),
        step_in(
            _MIGRATE,
            "hold_snapshot",
            "extract_source_schema",
            reads=("extract_source_schema",),
            lasting=True,
            doc=(
                "Writes the plan into the target's journal, and holds the source's snapshot and "
                "the target's lock until all other tasks have ended."
            ),
        ),
        step_in(
            _MIGRATE,
            "create_target_schema",
            "hold_snapshot",
            doc=(
                "Sets existing objects aside, then makes schemas, extensions, types and functions."
            ),
        ),
        step_in(
            _MIGRATE,
            "create_target_tables",
            "create_target_schema",
            items="table_items",
            doc="Makes relations, partitions, sequences, views and defaults.",
        ),
        step_in(
            _TRANSFERS,
            "copy_tables",
            "create_target_tables",
            scheduler_name="transfer_table_data",
            items="whole_relations",
            spread=True,
            listed_by="prepare_regular_tables",
            published=Published(listed_as="regular_tables"),
            doc="Copies the rows of whole relations, journalled in the same transaction.",
        ),
        step_in(
            _TRANSFERS,
            "copy_chunks",
            "create_target_tables",
            scheduler_name="transfer_partition",
            items="chunk_items",
            spread=True,
            listed_by="prepare_large_table_partitions",
            published=Published(shared_by="share_partitions"),
            doc="Copies one range of a large relation's rows, journalled in the same transaction.",
        ),
        step_in(
            _MIGRATE,
            "copy_large_objects",
            "create_target_tables",
            scheduler_name="transfer_large_objects",
            doc="Copies large objects, with their owners and grants.",
        ),
        step_in(
            _MIGRATE,
            "collect_all_results",
            "copy_tables",
            "copy_chunks",
            pipelined=True,
            published=Published(returned="tables"),
            doc="Adds up what has arrived, from the journal.",
        ),
        step_in(
            _MIGRATE,
            "convert_tables_to_logged",
            "collect_all_results",
            items="logged_items",
            pipelined=True,
            doc="Makes relations logged that were filled unlogged.",
        ),
        step_in(
            _MIGRATE,
            "create_indexes",
            "convert_tables_to_logged",
            items="index_items",
            pipelined=True,
            spread=True,
            listed_by="prepare_indexes",
            doc="Builds the indexes, a large relation's one by one.",
        ),
        step_in(
            _MIGRATE,
            "create_primary_keys",
            "create_indexes",
            items="primary_key_items",
            pipelined=True,
            doc="Creates primary keys and unique constraints from those indexes.",
        ),
        step_in(
            _MIGRATE,
            "analyze_tables",
            "create_primary_keys",
            "create_indexes",
            items="analyzed",
            pipelined=True,
            doc="Gathers the statistics that the target's planner needs.",
        ),
        step_in(
            _MIGRATE,
            "attach_indexes",
            "create_primary_keys",
            doc="Attaches the partitions' indexes to those of their roots.",
        ),
        step_in(
            _MIGRATE,
            "analyze_partitioned",
            "attach_indexes",
            doc="Gathers statistics over whole partitioned relations.",
        ),
        step_in(
            _MIGRATE,
            "create_foreign_keys",
            "attach_indexes",
            doc="Makes foreign keys, not validated yet.",
        ),
        step_in(
            _MIGRATE,
            "validate_foreign_keys",
            "create_foreign_keys",
            items="foreign_key_items",
            doc="Validates the foreign keys: the target checks every row.",
        ),
        step_in(
            _MIGRATE,
            "set_sequences",
            "create_foreign_keys",
            doc="Sets sequences to the source's current values.",
        ),
        step_in(
            _MIGRATE,
            "create_triggers_and_rules",
            "validate_foreign_keys",
            doc="Makes triggers, rules and policies.",
        ),
        step_in(
            _MIGRATE,
            "grant_privileges",
            "create_triggers_and_rules",
            "copy_large_objects",
            "set_sequences",
            doc="Grants privileges.",
        ),
        step_in(
            _MIGRATE,
            "refresh_materialized_views",
            "grant_privileges",
            doc="Fills the materialized views that the source had filled.",
        ),
        step_in(
            _DEPENDENTS,
            "repoint_dependents",
            "refresh_materialized_views",
            doc=(
                "Recreates whatever refers to set-aside objects (views, foreign keys of other "
                "tables, ...), so that it refers to their replacements."
            ),
        ),
        step_in(
            _MIGRATE,
            "create_event_triggers",
            "repoint_dependents",
            doc="Creates event triggers last, so that they do not fire on this run.",
        ),
        _validating("validate_content", "create_primary_keys", "create_indexes", pipelined=True),
        _validating("find_differences", "validate_content", reads=("validate_content",)),
        _validating("validate_schema", "create_event_triggers"),
        _validating("validate_sequences", "set_sequences"),
        _validating("validate_large_objects", "grant_privileges"),
        step_in(
            _MIGRATE,
            "generate_migration_summary",
            "find_differences",
            "validate_schema",
            "validate_sequences",
            "validate_large_objects",
            "analyze_tables",
            "analyze_partitioned",
            reads=(
                "find_differences",
                "validate_schema",
                "validate_sequences",
                "validate_large_objects",
            ),
            doc="Journals the run's end; fails, and names the differences, if there are any.",
        ),
    ),
    context="windlass.flows.migrate.context:Migration",
    spec="windlass.spec.migrate:Spec",
    entries="windlass.spec.fields.migrate:MIGRATE",
    past="windlass.flows.past:past_of",
    plan="windlass.flows.migrate.planned:plan_migration",
    lineage="windlass.flows.migrate.lineage:lineage_of",
    journalled=Journalled(
        undo="windlass.flows.migrate.undo:undo_migration",
        foresee="windlass.flows.migrate.written:foresee_migration",
        status="windlass.flows.migrate.status:migration_status",
        detail="windlass.flows.migrate.status:migration_detail",
        left="windlass.flows.migrate.left:migration_left",
    ),
    words=Words("migrate", "Migrating", "Migrated", "migration", "Reading both databases"),
    copies=("copy_tables", "copy_chunks"),
    needless={
        "copy_large_objects": f"{_NO}:large_objects",
        "convert_tables_to_logged": f"{_NO}:unlogged_tables",
        "attach_indexes": f"{_NO}:partitioned_indexes",
        "validate_foreign_keys": f"{_NO}:foreign_keys",
        "create_triggers_and_rules": f"{_NO}:triggers_and_rules",
        "refresh_materialized_views": f"{_NO}:materialized_views",
        "repoint_dependents": f"{_NO}:dependents",
        "create_event_triggers": f"{_NO}:event_triggers",
    },
)
