"""Links from tasks to what they have made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


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
