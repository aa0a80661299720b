"""Flows as task groups, for users' own DAGs: the tasks of the flow's own DAG, inside a group.

Each group has its own run in the journal. Its tasks find each other by the group's id, also in
nested groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup
from airflow.sdk.definitions._internal.node import DAGNode

from windlass.airflow import params as forms
from windlass.airflow.checking import SpecLike, check_ids, checked, checked_export, checked_load
from windlass.airflow.clouds import WAREHOUSE
from windlass.airflow.factory import (
    EXPORT,
    LOAD,
    MIGRATE,
    REWRITE,
    VALIDATE,
    flow_faults,
    step_words,
)
from windlass.airflow.operators import resolve_place
from windlass.airflow.tasks import Build, Gate
from windlass.airflow.tuning import Ending, Tuning
from windlass.model.flow import Flow

_GIVEN = "windlass.airflow.params:given_words"
# If a group is skipped, all of it is skipped: with `none_failed`, tasks after skipped ones would
# run.
_RULE = "none_failed_min_one_success"


class FlowTaskGroup(TaskGroup):
    """Any flow as a task group.

    `flow` is its import path. `given` are the options of its spec, any of which may contain Jinja;
    those in `connections` hold ids of Airflow connections. `gates` are tasks that come directly
    after a step. `group_options` are passed to Airflow's `TaskGroup`.

    Raises:
        ValueError: with every fault of the flow, the gates, the timeouts and the DAG.
        BadSpec: an address is given in place of a connection.
    """

    def __init__(
        self,
        group_id: str,
        *,
        flow: str,
        given: Mapping[str, Any],
        connections: Sequence[str] = ("source", "target"),
        tuning: Tuning | None = None,
        ending: Ending | None = None,
        gates: Mapping[str, Gate] | None = None,
        **group_options: Any,
    ) -> None:
        tuning, ending = tuning or Tuning(), ending or Ending()
        outline: Flow[Any] = resolve_place(flow)
        faults = [*flow_faults(outline, gates or {}, tuning.timeouts), *_not_of_a_group(ending)]
        if not group_options.get("prefix_group_id", True):
            faults.append("prefix_group_id: the tasks are found by the group's id")
        if faults:
            raise ValueError("; ".join(faults))
        check_ids({key: given[key] for key in connections})
        own = group_options.pop("default_args", {})
        defaults: Any = {"trigger_rule": _RULE, **tuning.task_defaults(), **own}
        super().__init__(group_id=group_id, default_args=defaults, **group_options)
        _check_dag(self.dag, outline, tuning)
        words = step_words(flow, _GIVEN, given, connections, tuning)
        alias = f"{self.dag.dag_id}.{self.group_id}"
        with self:
            Build(
                outline, words, tuning, ending, gates or {}, alias, group=str(self.group_id)
            ).make()
        self._is_made = True

    def add(self, task: DAGNode) -> DAGNode:
        """Called by Airflow for every task inside.

        Raises:
            ValueError: a task that is none of the flow's.
        """
        if getattr(self, "_is_made", False):
            raise ValueError(
                f"{self.group_id}: holds the tasks of its flow alone; put {task.node_id} before or"
                " after it, or give it as one of `gates`"
            )
        return super().add(task)


def _not_of_a_group(ending: Ending) -> list[str]:
    return [
        f"{name}: is the DAG's: give it the callbacks or the deadline"
        for name, value in (("notices", ending.notices), ("deadline", ending.deadline))
        if value is not None
    ]


def _check_dag(dag: DAG, flow: Flow[Any], tuning: Tuning) -> None:
    """Check that the DAG can run the group.

    Raises:
        ValueError: it would wait for itself forever.
    """
    if flow.lasting and tuning.hold_in == "worker" and dag.max_active_tasks < 2:
        raise ValueError(
            f"DAG {dag.dag_id}: max_active_tasks is {dag.max_active_tasks}, and"
            f" {flow.lasting.task} runs beside the tasks that it waits for: allow at least 2"
        )


class MigrateTaskGroup(FlowTaskGroup):
    """The flow `migrate`. The spec is a mapping or a YAML file, without source and target. With
    `require_approval`, it shows the plan and waits for a person before it writes.

    Raises:
        BadSpec: with every fault of the spec.
    """

    def __init__(
        self,
        group_id: str,
        *,
        source_conn_id: str = "postgres_source",
        target_conn_id: str = "postgres_target",
        spec: SpecLike | None = None,
        require_approval: bool = False,
        gates: Mapping[str, Gate] | None = None,
        **words: Any,
    ) -> None:
        gates = dict(gates or {})
        if require_approval:
            gates.setdefault("extract_source_schema", lambda: _approval(self))
        sides = {"source": source_conn_id, "target": target_conn_id}
        given = {**forms.STANDING, **checked(MIGRATE, spec or {}), **sides}
        super().__init__(group_id, flow=MIGRATE, given=given, gates=gates, **words)


class VerifyTaskGroup(FlowTaskGroup):
    """The flow `validate`: reads both sides, and fails with every difference named.

    Raises:
        BadSpec: with every fault of the spec.
    """

    def __init__(
        self,
        group_id: str,
        *,
        source_conn_id: str = "postgres_source",
        target_conn_id: str = "postgres_target",
        spec: SpecLike | None = None,
        **words: Any,
    ) -> None:
        sides = {"source": source_conn_id, "target": target_conn_id}
        given = {**forms.STANDING, **checked(VALIDATE, spec or {}), **sides}
        super().__init__(group_id, flow=VALIDATE, given=given, **words)


class RewriteTaskGroup(FlowTaskGroup):
    """The flow `rewrite` of a spec without connection.

    Raises:
        BadSpec: with every fault of the spec.
    """

    def __init__(
        self,
        group_id: str,
        *,
        spec: SpecLike,
        db_conn_id: str = "postgres_default",
        **words: Any,
    ) -> None:
        sides = ("connection",)
        given = {**checked(REWRITE, spec, sides), "connection": db_conn_id}
        super().__init__(group_id, flow=REWRITE, given=given, connections=sides, **words)


class ExportTaskGroup(FlowTaskGroup):
    """The flow `export`; for the connections see `windlass.airflow.export_dag`.

    Raises:
        BadSpec: with every fault of the spec.
    """

    def __init__(
        self,
        group_id: str,
        *,
        spec: SpecLike,
        source_conn_id: str = "postgres_source",
        warehouse_conn_id: str = "",
        store_conn_id: str = "",
        **words: Any,
    ) -> None:
        checked_spec = checked_export(spec, warehouse_conn_id, store_conn_id)
        is_database = bool(warehouse_conn_id) and WAREHOUSE not in checked_spec
        super().__init__(
            group_id,
            flow=EXPORT,
            given={**checked_spec, "source": source_conn_id},
            connections=("source", "warehouse") if is_database else ("source",),
            **words,
        )


class LoadTaskGroup(FlowTaskGroup):
    """The flow `load`; for the connections see `windlass.airflow.load_dag`.

    Raises:
        BadSpec: with every fault of the spec.
    """

    def __init__(
        self,
        group_id: str,
        *,
        spec: SpecLike,
        target_conn_id: str = "postgres_target",
        store_conn_id: str = "",
        **words: Any,
    ) -> None:
        sides = {"target": target_conn_id} if target_conn_id else {}
        given = {**checked_load(spec, target_conn_id, store_conn_id), **sides}
        super().__init__(group_id, flow=LOAD, given=given, connections=tuple(sides), **words)


def _approval(group: TaskGroup) -> BaseOperator:
    from windlass.airflow.gates import Asking

    plan = f"{group.group_id}.extract_source_schema"
    return Asking(
        task_id="approve_migration",
        subject=f"Migrate, in {group.group_id}?",
        body=f"{{{{ ti.xcom_pull(task_ids='{plan}', key='plan', map_indexes=-1) }}}}",
        fail_on_reject=True,
        plan_task=plan,
        doc_md="Shows the plan and waits for a person's answer.",
        retries=0,
    )
