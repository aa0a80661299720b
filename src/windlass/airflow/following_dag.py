"""The DAG of a migration that follows its source: copy and follow, watch, rehearse, cut over, and
finish or go back.

One task copies and follows, in one process, like `windlass migrate --follow`. The others
communicate with it through the target's journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator

from windlass.airflow import params as forms
from windlass.airflow.checking import SpecLike
from windlass.airflow.commands import MigrateOperator, PlanOperator, spec_words
from windlass.airflow.comparing import AT_ONCE, ShareTablesOperator, VerifyFollowingOperator
from windlass.airflow.factory import dag_options_of, new_dag
from windlass.airflow.following import (
    AbandonOperator,
    AwaitFollowingOperator,
    CutoverOperator,
    FinishOperator,
    ReopenOperator,
    WatchLagOperator,
)
from windlass.airflow.gates import AskingChoice
from windlass.airflow.tuning import Ending, Tuning

FOLLOW_DAG = "windlass_follow"
RETRIES = 1_000_000  # of the task that follows, which only ends when somebody ends the run
RETRY_DELAY = timedelta(seconds=15)
_SIDES: dict[str, Any] = {
    f"{side}_conn_id": f"{{{{ params.{side}_conn_id }}}}" for side in ("source", "target")
}
_TARGET = {"target_conn_id": _SIDES["target_conn_id"]}
_BEHIND = "{{ dag.dag_id }}: {{ windlass_reason }}"


def follow_dag(
    dag_id: str = FOLLOW_DAG,
    *,
    spec: SpecLike | None = None,
    cutover: SpecLike | None = None,
    source_conn_id: str = "postgres_source",
    target_conn_id: str = "postgres_target",
    pgbouncer_conn_id: str = "",
    lag_limit: timedelta = timedelta(minutes=1),
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """A migration that follows its source until a person decides to cut over. `spec` is a spec of
    `migrate`, `cutover` one of `cutover`: mappings or YAML files, without connections. Those who
    are notified of the end are also notified when the target is further behind than `lag_limit`.

    Raises:
        BadSpec: with every fault of the specs.
    """
    tuning, ending = tuning or Tuning(), ending or Ending()
    params = forms.connection_params(source_conn_id, target_conn_id)
    options = dag_options_of(
        dag_id,
        "follow",
        tuning,
        ending,
        params,
        {"description": "Copies a database in use, follows it, and switches over.", **dag_options},
    )
    options["default_args"] = {**options["default_args"], "trigger_rule": "all_success"}
    words = spec_words("migrate", spec, {}) | {"follow": True}
    with new_dag(dag_id, options) as dag:
        _Tasks(words, spec_words("cutover", cutover, {}), pgbouncer_conn_id, ending).make(
            tuning, lag_limit
        )
    return dag


class _Tasks:
    """The tasks of the DAG while it is made."""

    def __init__(
        self,
        migration: Mapping[str, Any],
        cutover: Mapping[str, Any],
        pgbouncer_conn_id: str,
        ending: Ending,
    ) -> None:
        self._migration, self._ending = dict(migration), ending
        self._cutover: dict[str, Any] = {
            **_SIDES,
            "spec": dict(cutover),
            "pgbouncer_conn_id": pgbouncer_conn_id,
        }

    def make(self, tuning: Tuning, lag_limit: timedelta) -> None:
        plan = PlanOperator(
            task_id="plan",
            spec=self._migration,
            doc_md="Looks at both sides for what is missing. Writes nothing.",
            **_SIDES,
        )
        ready = AwaitFollowingOperator(
            task_id="await_following",
            follow_task_id="follow",
            doc_md="Waits until all rows are copied and nothing blocks a cutover.",
            **_TARGET,
        )
        plan >> [self._follow(tuning), ready]
        ready >> self._watch(lag_limit)
        first, rehearse = self._compare(plan.task_id, tuning)
        ready >> first
        rehearse >> self._forth()

    def _follow(self, tuning: Tuning) -> BaseOperator:
        notified = self._ending.callbacks().get("on_failure_callback", [])
        return MigrateOperator(
            task_id="follow",
            spec=self._migration,
            pool=tuning.pool,
            retries=RETRIES,
            retry_delay=RETRY_DELAY,
            retry_exponential_backoff=0,
            on_failure_callback=notified,
            report_folder=self._ending.report_folder,
            report_url=self._ending.report_url,
            doc_md="Copies, then applies changes made on the source, until the run is finished or"
            " abandoned; after a cutover, applies changes in the other direction. A retry resumes"
            " it.",
            **_SIDES,
        )

    def _watch(self, limit: timedelta) -> BaseOperator:
        notices = self._ending.notices
        return WatchLagOperator(
            task_id="watch_lag",
            limit=limit,
            on_behind=notices.notifiers(_BEHIND, _BEHIND) if notices else (),
            doc_md="Logs and measures how far behind the target is; notifies if it is too far.",
            **_TARGET,
        )

    def _compare(self, plan_task_id: str, tuning: Tuning) -> tuple[BaseOperator, BaseOperator]:
        """The comparison, unless the spec leaves it out, and the rehearsal; returns the first and
        the last of these tasks."""
        rehearse = self._rehearse()
        if self._migration.get("verify") == "none":
            return rehearse, rehearse
        share = ShareTablesOperator(
            task_id="share_tables",
            plan_task_id=plan_task_id,
            spec=self._migration,
            doc_md="Divides the tables for verify_follow, which has a task for each share.",
        )
        verify = VerifyFollowingOperator.partial(
            task_id="verify_follow",
            map_index_template=VerifyFollowingOperator.NAME,
            max_active_tis_per_dagrun=min(tuning.max_parallel, AT_ONCE),
            doc_md="Compares both sides as of one moment, while applications write. Differences"
            " end the run before the rehearsal.",
            **_SIDES,
        ).expand_kwargs(share.output)
        share >> verify >> rehearse
        return share, rehearse

    def _rehearse(self) -> BaseOperator:
        return CutoverOperator(
            task_id="rehearse_cutover",
            rehearse=True,
            doc_md="Tests the way back, and measures everything in a cutover except the fence.",
            **self._cutover,
        )

    def _forth(self) -> BaseOperator:
        """The cutover with its approval, and what comes after it; returns the approval."""
        ask = AskingChoice(
            task_id="await_cutover",
            subject="Cut {{ params.source_conn_id }} over to {{ params.target_conn_id }}?",
            asked_about="rehearse_cutover",
            plan_task="plan",
            choices={"Cut over": "cutover", "Abandon": "abandon"},
            doc_md="Shows the rehearsal, and waits for a person. To be asked again later, clear"
            " rehearse_cutover.",
        )
        cutover = CutoverOperator(
            task_id="cutover",
            doc_md="Stops writers, waits for the last change, sets sequences, opens the target.",
            **self._cutover,
        )
        abandon = AbandonOperator(
            task_id="abandon",
            doc_md="Gives up: nothing is left on the source, the target keeps its copy.",
            **_SIDES,
        )
        ask >> [cutover, abandon]
        cutover >> self._reopen("reopen_source", back=False)
        cutover >> self._settle()
        return ask

    def _settle(self) -> BaseOperator:
        ask = AskingChoice(
            task_id="await_settle",
            subject="Finish, or let applications write to {{ params.source_conn_id }} again?",
            asked_about="cutover",
            plan_task="plan",
            choices={"Finish": "finish", "Flip back": "flip_back"},
            doc_md="Shows the cutover, and waits for a person. Until then both ways are open.",
        )
        finish = FinishOperator(
            task_id="finish",
            doc_md="Removes everything that following needed. There is no way back after that.",
            **_SIDES,
        )
        back = CutoverOperator(
            task_id="flip_back",
            back=True,
            doc_md="Lets applications write to the source again, which has all changes made on the"
            " target. The target then follows it again; for another cutover, clear"
            " rehearse_cutover.",
            **self._cutover,
        )
        ask >> [finish, back]
        back >> self._reopen("reopen_target", back=True)
        return ask

    def _reopen(self, task_id: str, *, back: bool) -> BaseOperator:
        return ReopenOperator(
            task_id=task_id,
            back=back,
            doc_md="If the task before has died, lets applications write where they did. Does"
            " nothing otherwise.",
            **self._cutover,
        )
