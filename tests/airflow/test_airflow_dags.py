"""The DAGs as Airflow's scheduler reads them, and what else Airflow asks of this package.

Airflow is imported in separate processes only: it writes into the folder where it is at home,
and changes much of the process that imports it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Executor
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any

import pytest

from paths import EXAMPLE_DAGS
from reading_dags import (
    MIGRATION,
    VALIDATION,
    Read,
    both,
    dag_file,
    dag_of,
)

LISTS = {
    "transfer_table_data": "prepare_regular_tables",
    "transfer_partition": "prepare_large_table_partitions",
    "create_indexes": "prepare_indexes",
    "validate_content": "prepare_validation",
}
SHARES = LISTS | {"transfer_partition": "share_partitions"}
PASSAGE = "after_trigger_validation_dag"
MIGRATION_TASKS = {
    *("extract_source_schema", "approve_migration", "hold_snapshot"),
    *("create_target_schema", "create_target_tables"),
    *LISTS,
    *LISTS.values(),
    *("transfer_large_objects", "collect_all_results", "convert_tables_to_logged"),
    *("create_primary_keys", "analyze_tables", "attach_indexes", "analyze_partitioned"),
    *("create_foreign_keys", "validate_foreign_keys", "set_sequences"),
    *("create_triggers_and_rules", "grant_privileges", "refresh_materialized_views"),
    *(
        "repoint_dependents",
        "create_event_triggers",
        "find_differences",
        "validate_schema",
        "validate_sequences",
    ),
    *("validate_large_objects", "trigger_validation_dag", "generate_migration_summary"),
    *(PASSAGE, "share_partitions"),
}
VALIDATION_TASKS = {
    *("read_both_sides", "prepare_validation", "validate_content", "find_differences"),
    *("validate_schema", "validate_sequences", "validate_large_objects"),
    "generate_validation_report",
}
# what Windlass's forerunner did, in its order; what is in one line is done side by side
ORIGINAL = [
    {"extract_source_schema"},
    {"create_target_schema"},
    {"create_target_tables"},
    {"transfer_table_data", "transfer_partition"},
    {"collect_all_results"},
    {"convert_tables_to_logged"},
    {"create_primary_keys"},
    {"trigger_validation_dag"},
    {"generate_migration_summary"},
]


@pytest.fixture(scope="module")
def validation(dags: Mapping[str, str]) -> Read:
    return Read.of(dags[VALIDATION])


# both DAGs


def test_every_file_of_the_folder_is_one_of_these() -> None:
    """`config` is what `migrate_to_db` imports; both have tests in test_rewrite_airflow. Airflow's
    own database has them in test_export_airflow, past runs in test_airflow_maintenance,
    a migration that follows in test_airflow_follow, and a Django project in test_airflow_update."""
    files = {file.stem for file in EXAMPLE_DAGS.glob("*.py")}
    assert files == {
        MIGRATION, VALIDATION, "migrate_to_db", "config", "airflow_metadata_export",
        "windlass_maintenance", "quarterly_data_update", "windlass_follow",
    }  # fmt: skip


@both
def test_a_file_holds_the_dag_of_its_name(dags: Mapping[str, str], dag_id: str) -> None:
    assert Read.of(dags[dag_id]).words["dag_id"] == dag_id


@both
def test_a_dag_runs_once_at_a_time_when_somebody_asks(dags: Mapping[str, str], dag_id: str) -> None:
    words = Read.of(dags[dag_id]).words
    assert words["max_active_runs"] == 1
    assert words["timetable"]["__type"].endswith(".NullTimetable")
    assert not words["catchup"]
    assert not words["is_paused_upon_creation"]


@both
def test_tasks_do_not_each_have_the_params_of_the_dag(dags: Mapping[str, str], dag_id: str) -> None:
    """Airflow would copy them into each task that is made after them, and serialize them there."""
    dag = Read.of(dags[dag_id])
    assert dag.form
    assert [task for task, words in dag.tasks.items() if words.get("params")] == []


@both
def test_no_task_waits_for_itself(dags: Mapping[str, str], dag_id: str) -> None:
    dag = Read.of(dags[dag_id])
    TopologicalSorter({task: dag.just_before(task) for task in dag.tasks}).prepare()


@both
def test_a_skipped_task_holds_up_none_and_a_failed_one_all_after_it(
    dags: Mapping[str, str], dag_id: str
) -> None:
    tasks = Read.of(dags[dag_id]).tasks
    assert {task["trigger_rule"] for name, task in tasks.items() if name != PASSAGE} == {
        "none_failed"
    }


def test_the_summary_comes_after_a_red_validation_too_but_after_no_red_step(
    migration: Read,
) -> None:
    """It ends the run: else the next one would resume a run that can only turn red."""
    passage = migration.tasks[PASSAGE]
    assert (passage["trigger_rule"], passage["task_type"]) == ("all_done", "EmptyOperator")
    assert migration.just_before(PASSAGE) == {"trigger_validation_dag"}
    summary = "generate_migration_summary"
    assert {PASSAGE, "validate_schema"} <= migration.just_before(summary)
    assert migration.tasks[summary]["trigger_rule"] == "none_failed"
    assert "trigger_validation_dag" not in migration.just_before(summary)


def test_a_file_is_the_same_dag_wherever_and_however_often_it_is_read(
    process: Executor, dags: Mapping[str, str], another: Executor
) -> None:
    """Else Airflow would write down a new version of it again and again."""
    assert {dag_id: process.submit(dag_file, dag_id).result() for dag_id in dags} == dags
    assert {dag_id: another.submit(dag_file, dag_id).result() for dag_id in dags} == dags


@both
def test_what_is_read_back_has_the_same_tasks(
    process: Executor, dags: Mapping[str, str], dag_id: str
) -> None:
    there = process.submit(read_back, dags[dag_id]).result()
    assert there == {task: sorted(Read.of(dags[dag_id]).next(task)) for task in there}
    assert set(there) == set(Read.of(dags[dag_id]).tasks)


def read_back(text: str) -> dict[str, list[str]]:
    from airflow.serialization.serialized_objects import DagSerialization

    tasks = DagSerialization.from_dict(json.loads(text)).tasks
    return {task.task_id: sorted(task.downstream_task_ids) for task in tasks}


# the migration


def test_the_migration_has_these_tasks(migration: Read) -> None:
    assert set(migration.tasks) == MIGRATION_TASKS


def test_the_migration_does_things_in_the_order_that_it_used_to(migration: Read) -> None:
    for earlier, later in pairwise(ORIGINAL):
        for task in later:
            assert earlier <= migration.before(task), task
            assert not later & migration.before(task), task


@pytest.mark.parametrize(("mapped", "listing"), SHARES.items())
def test_a_mapped_task_takes_the_shares_of_its_list(
    migration: Read, mapped: str, listing: str
) -> None:
    share = migration.tasks[mapped]["expand_input"]["value"]["__var"]["share"]["__var"]
    assert share == {"task_id": listing, "key": "return_value"}
    assert listing in migration.just_before(mapped)


def test_only_what_is_worth_a_task_each_is_mapped(migration: Read, validation: Read) -> None:
    assert migration.mapped == set(LISTS)
    assert validation.mapped == {"validate_content"}


def test_lists_are_made_beside_the_first_steps(migration: Read) -> None:
    assert {task: migration.just_before(task) for task in LISTS.values()} == {
        task: {"create_target_schema"} for task in LISTS.values()
    }


def test_one_task_joins_a_held_run_before_all_others(migration: Read, validation: Read) -> None:
    """If nobody holds it, that one is red, and not five."""
    for dag, holder, first in (
        (migration, "hold_snapshot", "create_target_schema"),
        (validation, "read_both_sides", "prepare_validation"),
    ):
        before = {"extract_source_schema", "approve_migration", holder, first}
        assert all(first in dag.before(task) for task in dag.tasks.keys() - before)


def test_nothing_but_the_plan_is_made_before_the_approval(migration: Read) -> None:
    assert migration.before("approve_migration") == {"extract_source_schema"}
    others = MIGRATION_TASKS - {"approve_migration", "extract_source_schema"}
    assert all("approve_migration" in migration.before(task) for task in others)


def test_the_approval_is_asked_for_once(migration: Read) -> None:
    assert migration.tasks["approve_migration"].get("retries", 0) == 0


def test_the_snapshot_is_held_beside_all_others_until_the_summary(
    process: Executor, migration: Read
) -> None:
    """Its task ends last: what came after it would wait forever."""
    assert migration.next("hold_snapshot") == set()
    assert process.submit(last_of_hold, MIGRATION, "hold_snapshot").result() == (
        "generate_migration_summary",
    )


def last_of_hold(dag_id: str, task: str) -> Any:
    hold: Any = dag_of(dag_id).get_task(task)
    return hold.last


def test_the_snapshot_is_held_before_anything_else_that_is_ready(migration: Read) -> None:
    weights = {name: task.get("priority_weight", 1) for name, task in migration.tasks.items()}
    assert max(weights, key=lambda name: weights[name]) == "hold_snapshot"
    assert sorted(weights.values())[-2] < weights["hold_snapshot"]


def test_the_other_dag_validates_when_the_schema_is_whole_and_before_the_summary(
    migration: Read,
) -> None:
    """Beside our own comparison of definitions, which holds up nothing but the end."""
    assert "create_event_triggers" in migration.just_before("trigger_validation_dag")
    assert "trigger_validation_dag" not in migration.before("validate_schema")
    assert migration.next("trigger_validation_dag") == {PASSAGE}
    assert migration.next(PASSAGE) == {"generate_migration_summary"}


def test_the_summary_comes_after_all_others_and_notifies_other_dags(migration: Read) -> None:
    others = MIGRATION_TASKS - {"hold_snapshot", "generate_migration_summary"}
    assert migration.before("generate_migration_summary") == others
    reported = {name for name, task in migration.tasks.items() if task.get("outlets")}
    assert reported == {"generate_migration_summary"}


# the validation


def test_the_validation_has_these_tasks(validation: Read) -> None:
    assert set(validation.tasks) == VALIDATION_TASKS


def test_the_validation_compares_side_by_side_and_reports_when_all_is_compared(
    validation: Read,
) -> None:
    beside = {"validate_schema", "validate_sequences", "validate_large_objects"}
    assert validation.just_before("generate_validation_report") == {*beside, "find_differences"}
    assert validation.just_before("find_differences") == {"validate_content"}
    assert validation.just_before("validate_content") == {"prepare_validation"}
    assert all(validation.just_before(task) == {"prepare_validation"} for task in beside)


def test_both_sides_are_held_beside_all_others_until_the_report(
    process: Executor, validation: Read
) -> None:
    assert validation.next("read_both_sides") == set()
    assert process.submit(last_of_hold, VALIDATION, "read_both_sides").result() == (
        "generate_validation_report",
    )
