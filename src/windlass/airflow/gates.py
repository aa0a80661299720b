"""Tasks between a migration's steps: a person's approval, and the validation DAG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLBranchOperator
from airflow.sdk.exceptions import (
    AirflowRuntimeError,
    AirflowSkipException,
    DagRunTriggerException,
)

from windlass.airflow.links import PushedLink
from windlass.airflow.operators import Check, give_up
from windlass.airflow.page_links import (
    ANSWER_KEY,
    DAG_RUN,
    PLAN,
    PLAN_KEY,
    page_url,
    shows_runs,
)
from windlass.airflow.web_ui import run_path
from windlass.flows.registry import flow_named

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_SECONDS = 1
MOST_PROBLEMS = 5  # of the other run
_SAME = (
    "source_conn_id",
    "target_conn_id",
    "source_schema",
    "target_schema",
    "exclude_tables",
    "include_tables",
)


class Asking(ApprovalOperator):
    """A question to a person. A rejection is a problem of the run, which notices report.
    `plan_task` is the task that has made the plan."""

    what = "the plan"

    def __init__(self, *, plan_task: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task = plan_task

    def execute(self, context: Context) -> Any:
        has_run = bool(context["params"].get("run"))  # an earlier one, which it is about
        self.body = _with_pages(context, self.body, self.plan_task, has_run=has_run)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Called by Airflow with the answer."""
        try:
            return super().execute_complete(context, event)
        except HITLRejectException:
            who = (event.get("responded_by_user") or {}).get("name", "somebody")
            problem = f"{self.what} was rejected by {who}"
            context["ti"].xcom_push(key="problems", value=[problem])
            raise


class PlanApproval(Asking):
    """Shows the plan and waits for a person, if the run's params ask for that.

    It is also the last task before anything is written. If the validation DAG is missing or paused,
    it fails here and not after hours of copying.
    """

    def __init__(self, *, validation_dag_id: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validation_dag_id = validation_dag_id

    def execute(self, context: Context) -> Any:
        params = context["params"]
        if self.validation_dag_id and params.get("trigger_validation"):
            problem = _why_not(context["ti"], self.validation_dag_id)
            if problem:
                hint = "clear this task then, or turn trigger_validation off"
                give_up(context, [f"{problem} ({hint})"])
        if not params.get("require_approval"):
            return {"approved": "not asked for"}
        return super().execute(context)

    def is_needless(self, context: Context) -> bool:
        """Whether it would pass in any case."""
        params = context["params"]
        if params.get("require_approval"):
            return False
        checks = self.validation_dag_id and params.get("trigger_validation")
        return not (checks and _why_not(context["ti"], self.validation_dag_id))


class AskingApproval(Asking):
    """Shows what the task `asked_about` would do, and waits for a person, unless there is nothing
    to do, or the form says `yes`."""

    what = "what it would do"

    def __init__(self, *, asked_about: str, **kwargs: Any) -> None:
        super().__init__(body=_shown(asked_about), fail_on_reject=True, retries=0, **kwargs)
        self.asked_about = asked_about

    def execute(self, context: Context) -> Any:
        if context["params"].get("yes"):
            return {"approved": "yes, by the form"}
        if context["ti"].xcom_pull(task_ids=self.asked_about, key="needless", map_indexes=-1):
            return {"approved": "not asked for: there is nothing to do"}
        return super().execute(context)


class AskingChoice(HITLBranchOperator):
    """Shows the XCom `text` of the task `asked_about`, and waits for a person to choose which task
    comes next: `choices` maps what the person reads to tasks."""

    def __init__(
        self,
        *,
        asked_about: str,
        choices: Mapping[str, str],
        plan_task: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            body=_shown(asked_about),
            options=list(choices),
            options_mapping=dict(choices),
            retries=0,
            **kwargs,
        )
        self.plan_task = plan_task

    def execute(self, context: Context) -> Any:
        self.body = _with_pages(context, self.body, self.plan_task, has_run=True)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Called by Airflow with the answer. The task that is chosen records who has given it."""
        who = {"responded_by_user": event.get("responded_by_user")}
        context["ti"].xcom_push(key=ANSWER_KEY, value=who)
        return super().execute_complete(context, event)


def _with_pages(context: Context, body: str | None, plan_task: str, *, has_run: bool) -> str:
    """The body, with links to what the page within Airflow shows: the plan, and the run if it has
    begun. Airflow renders Markdown alone."""
    ti = context["ti"]
    links = []
    if plan_task and ti.xcom_pull(task_ids=plan_task, key=PLAN_KEY, map_indexes=-1):
        url = page_url(PLAN, ti.dag_id, ti.run_id, plan_task)
        links.append(f"[The plan as a page]({url}), to read, to print and to sign")
    if has_run and shows_runs():
        links.append(f"[The run]({page_url(DAG_RUN, ti.dag_id, ti.run_id)})")
    return "\n\n".join(filter(None, [" · ".join(links), body]))


def _shown(task: str) -> str:
    """A template for what a task has pushed for people."""
    text = f"{{{{ ti.xcom_pull(task_ids='{task}', key='text', map_indexes=-1) }}}}"
    # without a language the web UI shows the lines of a block as one
    return f"```text\n{text}\n```"


def _why_not(ti: Any, dag_id: str) -> str:
    """Why a DAG cannot be triggered now, and what to do; empty if it can."""
    try:
        found = ti.get_dag(dag_id)
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") != HTTPStatus.NOT_FOUND:
            raise
        return f"there is no DAG {dag_id}: put its file into the DAGs folder"
    return f"{dag_id} is paused: unpause it" if found.is_paused else ""


class ValidationLink(PushedLink):
    """A link from a migration to the run of the validation DAG that it triggered."""

    name = "Validation"
    xcom_key = "validation_url"


class ValidationTrigger(Check):
    """Triggers the validation DAG in the migration's snapshot, and waits for it.

    `step` is the step that it comes after. Airflow's own TriggerDagRunOperator is not used: its
    module loads the models of Airflow's database, which takes 0.3 s whenever the DAG file is
    parsed, and every task does that.
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
        problem = _why_not(ti, dag_id)
        if problem:
            # this failure ends the run, and its snapshot with it
            give_up(context, [f"{problem}, then clear hold_snapshot and this task together"])
        with self._explained(context):
            snapshot = self.part(context).held_snapshot()
        run_id = f"{ti.dag_id}__{ti.run_id}__{ti.try_number}"
        ti.xcom_push(key=ValidationLink.xcom_key, value=run_path(dag_id, run_id))
        raise DagRunTriggerException(
            trigger_dag_id=dag_id,
            dag_run_id=run_id,
            conf={
                **{key: params[key] for key in self.conf_of},
                "level": "counts",
                "snapshot": snapshot,
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
        """Called by Airflow when the other run has ended."""
        (run_id,) = event[1]["run_ids"]
        if event[1].get(run_id) == "success":
            return {"run_id": run_id}
        dag_id, ti = self.validation_dag_id, context["ti"]
        ti.xcom_push(key="differences", value=_differences(ti, dag_id, run_id))
        found = list(_problems(ti, dag_id, run_id))
        if len(found) > MOST_PROBLEMS:
            found[MOST_PROBLEMS:] = [f"and {len(found) - MOST_PROBLEMS} more in run {run_id}"]
        give_up(context, [f"{dag_id} failed: {one}" for one in found or [f"see run {run_id}"]])


def _differences(ti: Any, dag_id: str, run_id: str) -> list[Any]:
    """The differences that a run of the flow `validate` has named."""
    last = flow_named("validate").last.task
    pulled = ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=[last]) or []
    return [one for report in pulled if report for one in report.get("differences", ())]


def _problems(ti: Any, dag_id: str, run_id: str) -> Iterator[str]:
    """The problems of a run of the flow `validate`, from its last task that has any."""
    tasks = [name for step in flow_named("validate").steps for name in (step.task, step.listing)]
    for task in reversed(tasks):  # the holder comes last, and only repeats that others have failed
        pushed = ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=[task], key="problems") or []
        found = dict.fromkeys(line for some in pushed if some for line in some)
        yield from found
        if found:
            return
