"""Addresses on the page of runs within Airflow, and the links from tasks to them.

Every process of Airflow imports this with the plugin, so it loads next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PREFIX = "/windlass"
OUTER = "windlass.airflow"  # in a request's scope: the application of the API server
DAG_RUN, REPORT, PLAN = "/dag-run", "/dag-run/report", "/dag-run/plan"
SECTION, CONNECTIONS, ACTIONS = "windlass", "page_connections", "page_actions"
PLAN_KEY = "plan_document"  # the XCom with the plan that a person approves
ANSWER_KEY = "answer"  # the XCom with who has answered a question
_OURS = "windlass.airflow."


def page_url(place: str, dag_id: str, run_id: str, task_id: str = "") -> str:
    """The address of `place` on the page, for a task of a DAG run. Without Airflow's `base_url` it
    has no host."""
    return f"{_base_url()}{_path(place, dag_id, run_id, task_id)}"


def shows_runs() -> bool:
    """Whether the page has targets to show."""
    from airflow.sdk.configuration import conf

    return bool((conf.get(SECTION, CONNECTIONS, fallback="") or "").strip())


def _path(place: str, dag_id: str, run_id: str, task_id: str) -> str:
    named = {"dag": dag_id, "run": run_id, "task": task_id}
    return f"{PREFIX}{place}?{urlencode({key: one for key, one in named.items() if one})}"


def base_path() -> str:
    """The path of Airflow's own address; mostly empty."""
    return urlsplit(_base_url()).path


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    return (conf.get("api", "base_url", fallback="") or "").rstrip("/")


class PageLink(BaseOperatorLink):
    """A link from each of our tasks to the page, from when the task is scheduled. Airflow asks for
    it in the API server, for tasks of all operators."""

    place = DAG_RUN

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The path, as people may reach Airflow by several hosts; empty for other people's
        tasks."""
        module = getattr(operator, "_task_module", None) or type(operator).__module__
        if not str(module).startswith(_OURS) or not self._leads_somewhere():
            return ""
        path = _path(self.place, ti_key.dag_id, ti_key.run_id, ti_key.task_id)
        return f"{base_path()}{path}"

    def _leads_somewhere(self) -> bool:
        return shows_runs()


class RunLink(PageLink):
    """To the run, in progress or ended."""

    name = "Windlass run"


class RunReportLink(PageLink):
    """To the report, which is there without targets as well: as a file."""

    name = "Windlass report"
    place = REPORT

    def _leads_somewhere(self) -> bool:
        return True
