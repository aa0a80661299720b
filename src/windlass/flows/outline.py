"""Every flow as data: its steps and their order. Imports no driver; a scheduler reads it.

A step's function has the step's name. Where a scheduler gives it a separate process, that
imports no more than its module needs.
"""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Step

_MIGRATE = "windlass.flows.migrate"
_TRANSFERS = "windlass.flows.transfers"
_VALIDATE = "windlass.flows.validate"
_DEPENDENTS = "windlass.flows.dependents"
_DEFINITIONS = "windlass.flows.definitions"
_REPAIR = "windlass.flows.repair"
_REWRITE = "windlass.flows.rewrite"
_EXPORT = "windlass.flows.export"


def _in(module: str, name: str, *after: str, items: str | None = None, **words: Any) -> Step[Any]:
    place = f"{module}:{items}" if items else None
    return Step(name, f"{module}:{name}", after, items=place, doc=_DOCS[name], **words)


# what people who watch a step read of it
_DOCS = {
    "extract_source_schema": "Reads both sides, makes the plan and finds every problem; writes"
    " nothing.",
    "hold_snapshot": "Writes the plan into the target's journal, and holds the source's snapshot"
    " and the target's lock until all other tasks have ended.",
    "create_target_schema": "Sets existing objects aside, then makes schemas, extensions, types"
    " and functions.",
    "create_target_tables": "Makes relations, partitions, sequences, views and defaults.",
    "transfer_table_data": "Copies the rows of whole relations; they and the journal's line that"
    " says so are one transaction.",
    "transfer_partition": "Copies one range of a large relation's rows; they and the journal's line"
    " that says so are one transaction.",
    "transfer_large_objects": "Copies large objects, with their owners and grants.",
    "collect_all_results": "Adds up from the journal what has arrived.",
    "convert_tables_to_logged": "Makes relations logged that were filled unlogged.",
    "create_indexes": "Builds the indexes, a large relation's one by one.",
    "create_primary_keys": "Makes primary keys and unique constraints upon those indexes.",
    "analyze_tables": "Gathers the statistics that the target's planner needs.",
    "attach_indexes": "Attaches the partitions' indexes to those of their roots.",
    "analyze_partitioned": "Gathers statistics over whole partitioned relations.",
    "create_foreign_keys": "Makes foreign keys, not validated yet.",
    "validate_foreign_keys": "Has the target check every row against its foreign keys.",
    "set_sequences": "Sets sequences to the source's current values.",
    "create_triggers_and_rules": "Makes triggers, rules and policies.",
    "grant_privileges": "Grants privileges.",
    "refresh_materialized_views": "Fills the materialized views that the source had filled.",
    "repoint_dependents": "Points what refers to set-aside objects (views, foreign keys of other"
    " tables, ...) at what has replaced them.",
    "create_event_triggers": "Makes event triggers, when nothing is left that they could fire on.",
    "validate_content": "Has each server fingerprint, or count, the rows of its side.",
    "find_differences": "Compares the fingerprints, and looks for the rows wherever they differ.",
    "validate_schema": "Compares the definitions of both sides.",
    "validate_sequences": "Compares the values of the sequences.",
    "validate_large_objects": "Compares large objects by their content.",
    "generate_migration_summary": "Writes the run's end into the journal; red, with the differences"
    " named, if there are any.",
    "read_both_sides": "Plans the comparison, and holds its snapshot until all other tasks have"
    " ended.",
    "generate_validation_report": "Reports the result; red, with the differences named, if there"
    " are any.",
    "repair_rows": "Makes rows of the target those of the source, and sets aside what was there.",
    "repair_large_objects": "Copies differing large objects again, and sets aside what was there.",
    "repair_sequences": "Sets sequences that differ, and notes where they stood.",
    "reading_from_database": "Picks the rows, and copies them with their positions into a staging"
    " table.",
    "adding_row": "Computes what the rows become.",
    "backup_table": "Copies what may be wanted back, and lets it replace the backup before.",
    "delete_records_from_table": "Takes out duplicates, and what else the spec asks for.",
    "writing_to_database": "Writes the rows back in place.",
    "updating_exported_at": "Stamps the rows that were written, and writes the run's end.",
    "read_source": "Plans the export, and holds its snapshot until all other tasks have ended.",
    "extract": "Writes the rows into files, and last the manifest that says that all are there.",
    "check_objects": "Makes sure that every file is there, with all that was written into it.",
    "load": "Loads the files into the warehouse, once for a run.",
    "check_rows": "Makes sure that as many rows have arrived as were read.",
    "clean_up": "Removes the run's files, after a failure as well.",
}


MIGRATE: Flow[Any] = Flow(
    "migrate",
    (
        _in(_MIGRATE, "extract_source_schema"),
        _in(
            _MIGRATE,
            "hold_snapshot",
            "extract_source_schema",
            reads=("extract_source_schema",),
            lasting=True,
        ),
        _in(_MIGRATE, "create_target_schema", "hold_snapshot"),
        _in(_MIGRATE, "create_target_tables", "create_target_schema", items="table_items"),
        _in(
            _TRANSFERS,
            "transfer_table_data",
            "create_target_tables",
            items="whole_relations",
            spread=True,
            listed_by="prepare_regular_tables",
        ),
        _in(
            _TRANSFERS,
            "transfer_partition",
            "create_target_tables",
            items="partitions",
            spread=True,
            listed_by="prepare_large_table_partitions",
        ),
        _in(_MIGRATE, "transfer_large_objects", "create_target_tables"),
        _in(
            _MIGRATE,
            "collect_all_results",
            "transfer_table_data",
            "transfer_partition",
            pipelined=True,
        ),
        _in(
            _MIGRATE,
            "convert_tables_to_logged",
            "collect_all_results",
            items="logged_items",
            pipelined=True,
        ),
        _in(
            _MIGRATE,
            "create_indexes",
            "convert_tables_to_logged",
            items="index_items",
            pipelined=True,
            spread=True,
            listed_by="prepare_indexes",
        ),
        _in(
            _MIGRATE,
            "create_primary_keys",
            "create_indexes",
            items="primary_key_items",
            pipelined=True,
        ),
        _in(
            _MIGRATE,
            "analyze_tables",
            "create_primary_keys",
            "create_indexes",
            items="analyzed",
            pipelined=True,
        ),
        _in(_MIGRATE, "attach_indexes", "create_primary_keys"),
        _in(_MIGRATE, "analyze_partitioned", "attach_indexes"),
        _in(_MIGRATE, "create_foreign_keys", "attach_indexes"),
        _in(
            _MIGRATE,
            "validate_foreign_keys",
            "create_foreign_keys",
            items="foreign_key_items",
        ),
        _in(_MIGRATE, "set_sequences", "create_foreign_keys"),
        _in(_MIGRATE, "create_triggers_and_rules", "validate_foreign_keys"),
        _in(
            _MIGRATE,
            "grant_privileges",
            "create_triggers_and_rules",
            "transfer_large_objects",
            "set_sequences",
        ),
        _in(_MIGRATE, "refresh_materialized_views", "grant_privileges"),
        _in(_DEPENDENTS, "repoint_dependents", "refresh_materialized_views"),
        _in(_MIGRATE, "create_event_triggers", "repoint_dependents"),
        _in(
            _VALIDATE,
            "validate_content",
            "create_primary_keys",
            "create_indexes",
            items="content_items",
            pipelined=True,
            spread=True,
            listed_by="prepare_validation",
        ),
        _in(_VALIDATE, "find_differences", "validate_content", reads=("validate_content",)),
        _in(_DEFINITIONS, "validate_schema", "create_event_triggers"),
        _in(_VALIDATE, "validate_sequences", "set_sequences"),
        _in(_VALIDATE, "validate_large_objects", "grant_privileges"),
        _in(
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
        ),
    ),
    context="windlass.flows.migration:Migration",
    spec="windlass.spec.spec:Spec",
    undo="windlass.flows.rollback:undo_migration",
    foresee="windlass.flows.written:foresee_migration",
    status="windlass.flows.status:migration_status",
)

VALIDATE: Flow[Any] = Flow(
    "validate",
    (
        _in(_VALIDATE, "read_both_sides", lasting=True),
        _in(_DEFINITIONS, "validate_schema", "read_both_sides"),
        _in(
            _VALIDATE,
            "validate_content",
            "read_both_sides",
            items="content_items",
            spread=True,
            listed_by="prepare_validation",
            reads=("read_both_sides",),
        ),
        _in(_VALIDATE, "validate_sequences", "read_both_sides"),
        _in(_VALIDATE, "validate_large_objects", "read_both_sides"),
        _in(
            _VALIDATE,
            "find_differences",
            "validate_content",
            reads=("read_both_sides", "validate_content"),
        ),
        _in(
            _VALIDATE,
            "generate_validation_report",
            "find_differences",
            "validate_schema",
            "validate_sequences",
            "validate_large_objects",
            reads=(
                "read_both_sides",
                "find_differences",
                "validate_schema",
                "validate_sequences",
                "validate_large_objects",
            ),
        ),
    ),
    context="windlass.flows.comparison:Comparison",
    spec="windlass.spec.spec:Spec",
)

REWRITE: Flow[Any] = Flow(
    "rewrite",
    (
        _in(_REWRITE, "reading_from_database"),
        _in(_REWRITE, "adding_row", "reading_from_database"),
        _in(_REWRITE, "backup_table", "adding_row"),
        _in(_REWRITE, "delete_records_from_table", "backup_table"),
        _in(_REWRITE, "writing_to_database", "delete_records_from_table"),
        _in(_REWRITE, "updating_exported_at", "writing_to_database"),
    ),
    context="windlass.flows.rewriting:Rewriting",
    spec="windlass.spec.rewrite:RewriteSpec",
    undo="windlass.flows.rewrite:undo_rewrite",
    foresee="windlass.flows.rewrite:foresee_rewrite",
    status="windlass.flows.rewrite:rewrite_status",
)

REPAIR: Flow[Any] = Flow(
    "repair",
    (
        _in(_REPAIR, "repair_rows"),
        _in(_REPAIR, "repair_large_objects", "repair_rows"),
        _in(_REPAIR, "repair_sequences", "repair_large_objects"),
    ),
    context="windlass.flows.comparison:Comparison",
    spec="windlass.spec.spec:Spec",
    undo="windlass.flows.repair:undo_repair",
    foresee="windlass.flows.repair:foresee_repair",
    status="windlass.flows.repair:repair_status",
)

# by the name that a journal knows them under
JOURNALLED = {flow.name: flow for flow in (MIGRATE, REWRITE, REPAIR)}

EXPORT: Flow[Any] = Flow(
    "export",
    (
        _in(_EXPORT, "read_source", lasting=True),
        _in(_EXPORT, "extract", "read_source", items="exports"),
        _in(_EXPORT, "check_objects", "extract", items="exports", pipelined=True),
        _in(_EXPORT, "load", "check_objects", items="exports", pipelined=True),
        _in(_EXPORT, "check_rows", "load", items="exports", pipelined=True),
        _in(_EXPORT, "clean_up", "check_rows", items="exports", pipelined=True, always=True),
    ),
    context="windlass.flows.exporting:Exporting",
    spec="windlass.spec.export:ExportSpec",
)
