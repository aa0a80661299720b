"""Links from tasks to what they have made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


def run_path(dag_id: str, run_id: str) -> str:
    """The path of a run in the web UI."""
    return f"/dags/{quote(dag_id)}/runs/{quote(run_id, safe=':+')}"


def run_url(dag_id: str, run_id: str) -> str:
    """The address of a run in the web UI; empty if Airflow's `base_url` is not set."""
    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}{run_path(dag_id, run_id)}" if base else ""


class PushedLink(BaseOperatorLink):
    """A link to the URL that a task pushed while it ran; no link if it pushed none."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Called by Airflow in the worker when the task ends."""
        from airflow.sdk.execution_time.xcom import XCom

        found = XCom.get_one(
            key=self.xcom_key,
            dag_id=ti_key.dag_id,
            task_id=ti_key.task_id,
            run_id=ti_key.run_id,
            map_index=ti_key.map_index,
        )
        return str(found or "")


class ReportLink(PushedLink):
    """A link from the task that ends a run to the report that it wrote."""

    name = "Report"
    xcom_key = "report_url"
