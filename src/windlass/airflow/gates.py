"""Tasks of Airflow's own kind between a migration's steps: a person's approval, another DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_SECONDS = 2
_SAME = ("source_conn_id", "target_conn_id", "source_schema", "target_schema", "exclude_tables",
         "include_tables")  # fmt: skip


class PlanApproval(ApprovalOperator):
    """Shows the plan and waits, where the run's params ask for it."""

    def execute(self, context: Context) -> Any:
        if not context["params"].get("require_approval"):
            return {"approved": "not asked for"}
        return super().execute(context)


class ValidationTrigger(TriggerDagRunOperator):
    """Lets another DAG compare what this one has moved, in the same snapshot, and waits for it."""

    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            wait_for_completion=True,
            poke_interval=POLL_SECONDS,
            deferrable=True,
            logical_date=None,
            openlineage_inject_parent_info=False,
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        params, ti = context["params"], context["ti"]
        if not params["trigger_validation"]:
            raise AirflowSkipException("not asked for")
        ticket = ti.xcom_pull(task_ids="hold_snapshot", map_indexes=-1) or {}
        self.conf = {
            **{key: params[key] for key in _SAME},
            "level": "counts",
            "snapshot": ticket.get("snapshot", {}).get("id", ""),
        }
        return super().execute(context)
