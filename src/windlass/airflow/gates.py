"""Tasks of Airflow's own kind between a migration's steps: a person's approval, another DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
)

from windlass.airflow.operators import ToldLink

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_SECONDS = 2
_SAME = (
    "source_conn_id",
    "target_conn_id",
    "source_schema",
    "target_schema",
    "exclude_tables",
    "include_tables",
)


class PlanApproval(ApprovalOperator):
    """Shows the plan and waits, where the run's params ask for it."""

    def execute(self, context: Context) -> Any:
        if not context["params"].get("require_approval"):
            return {"approved": "not asked for"}
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Called with the answer."""
        try:
            return super().execute_complete(context, event)
        except HITLRejectException:
            who = (event.get("responded_by_user") or {}).get("name", "somebody")
            context["ti"].xcom_push(key="problems", value=[f"the plan was rejected by {who}"])
            raise


class ValidationLink(ToldLink):
    """From a migration to the run of the validation DAG that it has triggered."""

    name = "Validation"
    xcom_key = "validation_url"


class ValidationTrigger(BaseOperator):
    """Lets another DAG compare what this one has moved, in the same snapshot, and waits for it.

    Airflow's own TriggerDagRunOperator would do, but its module loads the models of Airflow's
    database: 0.3 s more wherever the DAG file is parsed, which is in every task.
    """

    ui_color = "#ffefeb"
    operator_extra_links = (ValidationLink(),)

    def __init__(
        self, *, validation_dag_id: str, conf_of: Sequence[str] = _SAME, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.validation_dag_id, self.conf_of = validation_dag_id, tuple(conf_of)

    def execute(self, context: Context) -> Any:
        params, ti = context["params"], context["ti"]
        if not params["trigger_validation"]:
            raise AirflowSkipException("not asked for")
        dag_id = self.validation_dag_id
        if ti.get_dag(dag_id).is_paused:
            raise AirflowFailException(f"{dag_id} is paused: unpause it, then clear this task")
        run_id = f"{ti.dag_id}__{ti.run_id}__{ti.try_number}"
        url = f"/dags/{quote(dag_id)}/runs/{quote(run_id, safe=':+')}"
        ti.xcom_push(key=ValidationLink.xcom_key, value=url)
        ticket = ti.xcom_pull(task_ids="hold_snapshot", map_indexes=-1) or {}
        raise DagRunTriggerException(
            trigger_dag_id=dag_id,
            dag_run_id=run_id,
            conf={
                **{key: params[key] for key in self.conf_of},
                "level": "counts",
                "snapshot": ticket.get("snapshot", {}).get("id", ""),
            },
            reset_dag_run=True,
            skip_when_already_exists=False,
            wait_for_completion=True,
            allowed_states=["success"],
            failed_states=["failed"],
            poke_interval=POLL_SECONDS,
            deferrable=True,
        )

    def execute_complete(self, context: Context, event: tuple[str, Mapping[str, Any]]) -> Any:
        """Called when the other run has ended."""
        (run_id,) = event[1]["run_ids"]
        if event[1].get(run_id) == "success":
            return {"run_id": run_id}
        problems = context["ti"].xcom_pull(
            dag_id=self.validation_dag_id,
            run_id=run_id,
            task_ids="generate_validation_report",
            key="problems",
            map_indexes=-1,
        )
        told = "; ".join((problems or [f"see run {run_id}"])[:5])
        raise AirflowFailException(f"{self.validation_dag_id} has failed: {told}")
