"""DAGs that act on past runs: list them, roll one back, remove what they left, repair a target.

One that changes something first shows what it would do, and waits for a person to approve it,
unless its form says `yes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from airflow.sdk import DAG, Param

from windlass.airflow import past_forms as forms
from windlass.airflow.checking import SpecLike, checked
from windlass.airflow.factory import dag_options_of, new_dag
from windlass.airflow.findings import CLEAN_DAG, REPAIR_DAG, ROLLBACK_DAG, STATUS_DAG
from windlass.airflow.gates import AskingApproval
from windlass.airflow.operators import WindlassOperator
from windlass.airflow.slips import check_conf
from windlass.airflow.tuning import Ending, Tuning
from windlass.flows.registry import FLOWS
from windlass.model.flow import resolve

if TYPE_CHECKING:
    from airflow.sdk import Context

    from windlass.airflow.acts import Order

_ACTS, _FORMS = "windlass.airflow.acts", "windlass.airflow.past_forms"
TEXT, NEEDLESS = "text", "needless"  # keys of an act's result


class ActOperator(WindlassOperator):
    """One half of an act. `act` is the import path of a function in `windlass.airflow.acts`.
    `where` is that of a function which returns the database or the spec, from the run's params and
    `given`. `approved_by` is the task whose result a person has approved, `asked_by` the one that
    has asked them, and `recorded_as` what the journal records."""

    template_fields: Sequence[str] = ("given",)

    def __init__(
        self,
        *,
        act: str,
        where: str,
        given: Mapping[str, Any] | None = None,
        approved_by: str = "",
        asked_by: str = "",
        recorded_as: str = "",
        only_if_asked: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=True, **kwargs)
        self.act, self.where, self.approved_by = act, where, approved_by
        self.asked_by, self.recorded_as = asked_by, recorded_as
        self.only_if_asked = only_if_asked
        self.given = dict(given or {})

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            from windlass.airflow.acts import Order, log_lines
            from windlass.airflow.board import Board, small

            check_conf(context)
            board, params = Board(context["ti"]), dict(context["params"])
            if self.only_if_asked and params.get("yes"):
                return {TEXT: "The form says yes, so nobody is asked.", NEEDLESS: False}
            seen = board.result(self.approved_by) if self.approved_by else None
            foreseen = {} if params.get("yes") else seen or {}
            where: Any = resolve(self.where)(params, self.given)
            order = Order(params, where, foreseen, board.started_by)
            if seen and seen.get(NEEDLESS):
                log_lines(seen[TEXT])
                return seen
            with self._recorded(context, order):
                result = small(resolve(self.act)(order))
            text = click.unstyle(str(result[TEXT]))
            log_lines(text)
            return {**result, TEXT: text}

    def _recorded(self, context: Context, order: Order) -> AbstractContextManager[None]:
        """Recorded in the target's journal, if it changes something."""
        from windlass.airflow.board import Board
        from windlass.airflow.recording import Doing, recorded

        if not self.approved_by:
            return nullcontext()
        answer = Board(context["ti"]).result(self.asked_by) or {} if self.asked_by else {}
        return recorded(order, Doing.of(context, self.recorded_as, answer))


@dataclass(frozen=True)
class _Act:
    """Something that is done after an approval: its three tasks, and the question to a person."""

    foresee: str
    foresee_task: str
    approve_task: str
    do: str
    label: str
    subject: str
    where: str = f"{_FORMS}:journal_of"
    is_long: bool = False  # foreseeing it takes long, so that is done only if somebody is asked


_ROLLBACK = _Act(
    "foresee_rollback",
    "foresee_rollback",
    "approve_rollback",
    "roll_back",
    "Roll back",
    "Roll back run {{ params.run }} in {{ params.to or params.target_conn_id }}?",
)
_CLEAN = _Act(
    "foresee_clean",
    "list_what_is_left",
    "approve_clean",
    "clean",
    "Remove what it left",
    "Remove what runs have left in {{ params.to or params.target_conn_id }}?",
)
_REPAIR = _Act(
    "foresee_repair",
    "compare_both_sides",
    "approve_repair",
    "repair",
    "Repair differences",
    "Repair {{ params.target_conn_id }}?",
    where=f"{_FORMS}:selected_sides",
    is_long=True,
)


def status_dag(
    dag_id: str = STATUS_DAG,
    *,
    target_conn_id: str = "postgres_target",
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Lists the runs in a target's journal, or in an export's store: `windlass status`. They are in
    the log of its only task, and in the XCom `runs`."""

    def tasks() -> None:
        ActOperator(
            task_id="list_runs",
            act=f"{_ACTS}:list_runs",
            where=f"{_FORMS}:journal_of",
            doc_md="Logs all runs that are known there, or one in detail.",
        )

    options = {"description": "The runs of a database, and their progress.", **dag_options}
    return _dag(dag_id, forms.status_params(target_conn_id), "list_runs", tasks, ending, options)


def rollback_dag(
    dag_id: str = ROLLBACK_DAG,
    *,
    target_conn_id: str = "postgres_target",
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Undoes a run of any flow, after an approval: `windlass rollback`."""
    options = {"description": "Undoes a run, after an approval.", **dag_options}
    return _asking(dag_id, _ROLLBACK, forms.rollback_params(target_conn_id), {}, ending, options)


def clean_dag(
    dag_id: str = CLEAN_DAG,
    *,
    target_conn_id: str = "postgres_target",
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Removes what ended runs have left, after an approval: `windlass clean`."""
    options = {"description": "Removes what ended runs have left, after an approval."}
    params = forms.clean_params(target_conn_id)
    return _asking(dag_id, _CLEAN, params, {}, ending, {**options, **dag_options})


def repair_dag(
    dag_id: str = REPAIR_DAG,
    *,
    spec: SpecLike | None = None,
    source_conn_id: str = "postgres_source",
    target_conn_id: str = "postgres_target",
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Makes a target match its source, after an approval, and compares again: `windlass verify
    --repair`. Without a spec, its form asks for schemas and tables as `validation_dag` does.

    Raises:
        BadSpec: with every fault of the spec.
    """
    options = {"description": "Makes a target match its source, after an approval.", **dag_options}
    params = forms.repair_params(source_conn_id, target_conn_id, asks_for_all=spec is None)
    given = checked(FLOWS["repair"], spec)
    act = _REPAIR if spec is None else replace(_REPAIR, where=f"{_FORMS}:given_sides")
    return _asking(dag_id, act, params, given, ending, options, tuning)


def _asking(
    dag_id: str,
    act: _Act,
    params: dict[str, Param],
    given: Mapping[str, Any],
    ending: Ending | None,
    dag_options: Mapping[str, Any],
    tuning: Tuning | None = None,
) -> DAG:
    def tasks() -> None:
        words: dict[str, Any] = {"where": act.where, "given": given}
        first = ActOperator(
            task_id=act.foresee_task,
            act=f"{_ACTS}:{act.foresee}",
            only_if_asked=act.is_long,
            doc_md="Finds out what would be done. Changes nothing.",
            **words,
        )
        ask = AskingApproval(
            task_id=act.approve_task,
            subject=act.subject,
            asked_about=act.foresee_task,
            doc_md="Shows what would be done, and waits for a person's answer.",
        )
        last = ActOperator(
            task_id=act.do,
            act=f"{_ACTS}:{act.do}",
            approved_by=act.foresee_task,
            asked_by=act.approve_task,
            recorded_as=act.label,
            doc_md="Does it, and logs what was done.",
            **words,
        )
        first >> ask >> last

    return _dag(dag_id, params, act.do, tasks, ending, dag_options, tuning)


def _dag(
    dag_id: str,
    params: dict[str, Param],
    last: str,
    tasks: Callable[[], None],
    ending: Ending | None,
    dag_options: Mapping[str, Any],
    tuning: Tuning | None = None,
) -> DAG:
    options = dag_options_of(
        dag_id, last, tuning or Tuning(), ending or Ending(), params, dag_options
    )
    with new_dag(dag_id, options) as dag:
        tasks()
    return dag
