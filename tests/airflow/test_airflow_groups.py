"""Flows as task groups in DAGs of others, as the scheduler reads them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from paths import DOCS
from reading_dags import Read, party, serialized
from windlass.airflow.board import Board
from windlass.errors import BadSpec
from windlass.flows.registry import FLOWS

if TYPE_CHECKING:
    from airflow.sdk import DAG

HOLDERS = {"outer.move.hold_snapshot", "check.read_both_sides"}
SPEC = {"schema": "{{ params.schema }}"}
SIDES = {"source": "old_shop", "target": "new_shop"}


def theirs(**words: Any) -> DAG:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, TaskGroup

    from windlass.airflow import (
        ExportTaskGroup,
        MigrateTaskGroup,
        RewriteTaskGroup,
        VerifyTaskGroup,
    )

    with DAG("theirs", **words) as dag:
        before, after = EmptyOperator(task_id="before"), EmptyOperator(task_id="after")
        with TaskGroup("outer"):
            move = MigrateTaskGroup("move", spec=SPEC, require_approval=True)
        check = VerifyTaskGroup("check", spec=SPEC)
        change = {"table": "t", "select": "true", "id": "id", "set": {"a": {"sql": "1"}}}
        rewrite = RewriteTaskGroup("rewrite", spec=change)
        export = ExportTaskGroup("export", spec={"to": "file:///lake", "relations": ["shop.*"]})
        before >> move >> check >> rewrite >> export >> after
    return dag


def theirs_serialized() -> str:
    return serialized(theirs())


def two_of_a_party() -> str:
    from airflow.sdk import DAG

    from reading_dags import PARTY  # noqa: F401  (found by its place)
    from windlass.airflow import FlowTaskGroup

    place = f"{party.__module__}:PARTY"
    with DAG("theirs") as dag:
        for name in ("first", "second"):
            FlowTaskGroup(name, flow=place, given={"guests": ["ann"]}, connections=())
    return serialized(dag)


@pytest.fixture(scope="module")
def read(process: Executor) -> Read:
    return Read.of(process.submit(theirs_serialized).result())


def inside(read: Read, group: str) -> dict[str, set[str]]:
    """Each task of a group, with those of the same group that it comes right after."""
    return {
        task.removeprefix(group): {
            one.removeprefix(group) for one in read.just_before(task) if one.startswith(group)
        }
        for task in read.tasks
        if task.startswith(group)
    }


def test_a_group_has_the_tasks_of_the_flow_s_own_dag_in_the_same_order(
    read: Read, process: Executor
) -> None:
    alone = Read.of(process.submit(party).result())
    pair = Read.of(process.submit(two_of_a_party).result())
    for name in ("first.", "second."):
        found = inside(pair, name)
        assert found.keys() == alone.tasks.keys()
        for task, before in found.items():
            assert before - {"light_candles"} == alone.just_before(task) - {"light_candles"}
    assert {name for name in read.mapped if name.startswith("outer.")} == {
        f"outer.move.{one}"
        for one in ("transfer_table_data", "transfer_partition", "create_indexes",
                    "validate_content")
    }  # fmt: skip


def test_groups_come_after_and_before_tasks_of_others(read: Read) -> None:
    assert read.next("before") == {"outer.move.extract_source_schema"}
    summary = "outer.move.generate_migration_summary"
    assert read.next(summary) == {"check.prepare_validation", "check.read_both_sides"}
    assert read.just_before("after") == {"export.check_rows"}
    assert {"rewrite.reading_from_database"} == read.next("check.generate_validation_report")


def test_nothing_in_a_group_waits_for_its_holder_which_waits_for_all(read: Read) -> None:
    for holder in HOLDERS:
        group = holder.rpartition(".")[0]
        assert not [task for task in read.next(holder) if task.startswith(f"{group}.")]


def test_a_group_is_skipped_as_a_whole_but_no_task_because_a_mapped_one_had_no_items(
    read: Read,
) -> None:
    """A task is skipped if all before it are: so one before it is never skipped by itself."""
    roots = set()
    for group in ("outer.move.", "check.", "rewrite.", "export."):
        for task, before in inside(read, group).items():
            words = read.tasks[group + task]
            if not before:
                roots.add(group + task)
                assert words.get("trigger_rule", "all_success") == "all_success"
            elif not words.get("is_teardown"):
                assert words["trigger_rule"] == "none_failed_min_one_success"
                assert {group + one for one in before} - read.mapped, task
    assert roots == {
        "outer.move.extract_source_schema",
        "check.read_both_sides",
        "check.prepare_validation",
        "rewrite.reading_from_database",
        "export.read_source",
    }


def test_each_group_is_a_run_of_its_own() -> None:
    ti: Any = SimpleNamespace(dag_id="theirs", run_id="tonight")
    runs = {Board(ti, group).started_by for group in ("", "first", "outer.first", "second")}
    assert len(runs) == 4


def test_a_group_sees_its_own_tasks_by_the_names_that_they_have_inside() -> None:
    asked: list[dict[str, Any]] = []

    def get_task_states(**words: Any) -> dict[str, Any]:
        asked.append(words)
        return {"tonight": {"outer.move.transfer_partition_3": "failed"}}

    ti: Any = SimpleNamespace(
        dag_id="theirs",
        run_id="tonight",
        get_task_states=get_task_states,
        xcom_pull=lambda **words: words,
    )
    board = Board(ti, "outer.move")
    assert board.failed() == ["transfer_partition_3"]
    board.states(["transfer_partition"])
    every, one = asked
    assert every["task_group_id"] == "outer.move" and every["task_ids"] is None
    assert one["task_ids"] == ["outer.move.transfer_partition"]
    assert "task_group_id" not in one  # Airflow would add all others of the group
    found: Any = board.result("hold_snapshot")
    assert found["task_ids"] == "outer.move.hold_snapshot"


def documented() -> str:
    """The example of the documentation."""
    text = (DOCS / "airflow.md").read_text()
    block = text.split("## Inside your own DAG")[1].split("```python")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(compile(block, "docs/airflow.md", "exec"), found)
    return serialized(found["dag"])


def test_the_example_of_the_documentation_is_a_dag(process: Executor) -> None:
    read = Read.of(process.submit(documented).result())
    assert read.next("stop_writers") == {"move.extract_source_schema"}
    assert read.just_before("mask") == {"move.hold_snapshot", "move.generate_migration_summary"}
    assert read.just_before("unmask") == {"mask", "export"}
    assert "move.transfer_partition" in read.mapped


def refused(kind: str) -> str:
    from datetime import timedelta

    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG

    from windlass.airflow import Ending, FlowTaskGroup, MigrateTaskGroup, Tuning

    def stranger() -> None:
        with MigrateTaskGroup("move"):
            EmptyOperator(task_id="mine")

    makes: dict[str, Callable[[], Any]] = {
        "stranger": stranger,
        "prefix": lambda: MigrateTaskGroup("move", prefix_group_id=False),
        "deadline": lambda: MigrateTaskGroup("move", ending=Ending(deadline=timedelta(1))),
        "timeout": lambda: MigrateTaskGroup("move", tuning=Tuning(timeouts={"no": timedelta(1)})),
        "spec": lambda: MigrateTaskGroup("move", spec={"target": "postgresql://a:b@c"}),
        "follow": lambda: MigrateTaskGroup("move", spec={"follow": True}),
        "cutover": lambda: FlowTaskGroup("move", flow=FLOWS["cutover"], given=SIDES),
        "narrow": lambda: MigrateTaskGroup("move"),
    }
    with DAG("theirs", max_active_tasks=1 if kind == "narrow" else 16):
        try:
            makes[kind]()
        except (ValueError, BadSpec) as error:
            return str(error)
    return ""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("stranger", "move: holds the tasks of its flow alone; put move.mine before or after it"),
        ("prefix", "prefix_group_id: the tasks are found by the group's id"),
        ("deadline", "deadline: is the DAG's"),
        ("timeout", "timeouts: flow migrate has no step no"),
        ("follow", "follow: one process copies and follows; use follow_dag"),
        ("cutover", "flow cutover: one process has to do all of it; use CutoverOperator"),
        ("spec", "target: give the id of a connection instead"),
        ("narrow", "max_active_tasks is 1, and hold_snapshot runs beside the tasks"),
    ],
)
def test_what_cannot_work_is_an_import_error(process: Executor, kind: str, message: str) -> None:
    assert message in process.submit(refused, kind).result()
