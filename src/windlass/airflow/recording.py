"""Who has done what with a past run through a DAG, in the target's journal: Airflow's user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from windlass import api
from windlass import recorded as journal
from windlass.airflow.findings import lines_of
from windlass.airflow.page_links import ANSWER_KEY
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.model.acts import Act
from windlass.model.outcome import UNFINISHED, Outcome, RunStatus, State

if TYPE_CHECKING:
    from airflow.sdk import Context

    from windlass.airflow.acts import Order

log = logging.getLogger(__name__)
AIRFLOW = "Airflow"  # where it was done from, and who does what no person has triggered
MOST_SHOWN = 500  # characters of an error


@dataclass(frozen=True, slots=True)
class Doing:
    """What a DAG run does, and for whom. `run` is the past run that its configuration names."""

    what: str
    who: str
    dag_run: str
    run: str = ""

    @classmethod
    def of(cls, context: Context, what: str, answer: Mapping[str, Any]) -> Doing:
        """`answer` is that of the person who has approved it; {} if nobody was asked. Otherwise it
        is who has triggered the DAG run."""
        dag_run: Any = context.get("dag_run")
        by = (answer.get("responded_by_user") or {}).get("name")
        who = by or getattr(dag_run, "triggering_user_name", None) or AIRFLOW
        run = (getattr(dag_run, "conf", None) or {}).get("run")
        ti = context["ti"]
        return cls(what, str(who), f"DAG {ti.dag_id}, run {ti.run_id}", str(run or "").strip())


@contextmanager
def recorded(order: Order, doing: Doing) -> Iterator[None]:
    """Record that it begins, in advance, and how it ended. Exports have no journal for this.

    Raises:
        WindlassError: the journal cannot be written; nothing was done.
    """
    target = _target(order)
    numbers = [
        journal.begin_act(target, Act(run, doing.what, doing.dag_run, doing.who, AIRFLOW))
        for run in (_runs(order, doing) if target else ())
    ]
    try:
        yield
    except WindlassError as error:
        _end(target, numbers, _failed(error))
        raise
    for number in numbers:
        journal.end_act(target, number, "done")


def recorded_run(
    context: Context, target: str, what: str, runs: Sequence[str], act: Callable[[], Outcome]
) -> Outcome:
    """Record what somebody has decided about runs that follow there, in advance, and how it ended.
    Who: the person who has answered the question before this task, or else who has triggered the
    DAG run.

    Raises:
        WindlassError: the journal cannot be written; nothing was done.
    """
    doing = Doing.of(context, what, _answer(context["ti"]))
    numbers = [
        journal.begin_act(target, Act(run, doing.what, doing.dag_run, doing.who, AIRFLOW))
        for run in runs
    ]
    try:
        outcome = act()
    except WindlassError as error:
        _end(target, numbers, _failed(error))
        raise
    _end(target, numbers, ended_text(outcome))
    return outcome


def record_done(context: Context, target: str, what: str, done: Sequence[str]) -> None:
    """Record what a task has done to the run that a cutover takes. Afterwards, as it usually does
    nothing, and must not wait for a record: one that cannot be written is only logged."""
    if not done:
        return
    doing = Doing.of(context, what, {})
    try:
        for run in run_to_cut_over(target):
            act = Act(run, doing.what, doing.dag_run, doing.who, AIRFLOW)
            number = journal.begin_act(target, act)
            journal.end_act(target, number, "; ".join(done)[:MOST_SHOWN])
    except WindlassError as error:
        log.warning("%s could not be recorded: %s", what, error)


def _answer(ti: Any) -> Mapping[str, Any]:
    """The answer to the question before this task; {} if there is none."""
    pulled = (
        ti.xcom_pull(task_ids=task, key=key, map_indexes=-1)
        for task in sorted(ti.task.upstream_task_ids)
        for key in (ANSWER_KEY, "return_value")
    )
    found: Iterator[Mapping[str, Any]] = (one for one in pulled if isinstance(one, Mapping))
    return next((one for one in found if one.get("responded_by_user")), {})


def run_to_cut_over(target: str) -> Sequence[str]:
    """The run that a cutover takes: the newest that follows. Without one, the command says so."""
    found = api.status(target)
    return [one.run for one in found if one.following and not one.following.phase.is_over][:1]


def run_to_end(target: str, name: str = "") -> Sequence[str]:
    """The run that is finished or abandoned. Without a name, the only one that may have left
    something; or else the newest. If there are several, the command refuses."""
    found = [one for one in api.status(target) if one.following]
    if name:
        return [one.run for one in found if one.run == name]
    left = [one for one in found if _may_have_left(one)]
    return [one.run for one in left or found[:1]] if len(left) < 2 else ()


def _may_have_left(status: RunStatus) -> bool:
    """Also a run whose end was begun, and has stopped."""
    assert status.following is not None
    return not status.following.phase.is_over or status.state in UNFINISHED


def ended_text(outcome: Outcome) -> str:
    """How it ended, for the record. What has stopped may be half done."""
    if outcome.course.already:
        return f"nothing to do: {outcome.reason.message}"[:MOST_SHOWN]
    if outcome.state in (State.DONE, State.ABANDONED):
        return "done"
    problems = lines_of(Refused(outcome.reason.problems)) if outcome.reason.problems else ()
    reason = "; ".join(problems) or outcome.reason.message or str(outcome.state)
    is_undone = outcome.state in (State.REFUSED, State.TAKEN_BACK)
    return f"{'not done' if is_undone else 'stopped'}: {reason}"[:MOST_SHOWN]


def _failed(error: WindlassError) -> str:
    begun = "not done" if isinstance(error, (Refused, BadSpec)) else "stopped"
    return f"{begun}: {'; '.join(lines_of(error))}"[:MOST_SHOWN]


def _end(target: str, numbers: Sequence[str], result: str) -> None:
    """What went wrong matters more than its record."""
    for number in numbers:
        with suppress(WindlassError):
            journal.end_act(target, number, result)


def _target(order: Order) -> str:
    """The PostgreSQL database with the journal; empty if it is elsewhere."""
    where = order.where if isinstance(order.where, str) else getattr(order.where, "target", "")
    url = where.get_secret_value() if isinstance(where, SecretStr) else str(where or "")
    return url if urlsplit(url).scheme in ("postgres", "postgresql", "") else ""


def _runs(order: Order, doing: Doing) -> Sequence[str]:
    """The past runs that it is about. A repair without one makes a run, which names its DAG run."""
    if run := order.run or doing.run:
        return [run]
    if not isinstance(order.where, str):
        return ()
    approved = order.foreseen.get("runs")
    return (
        [one["run"] for one in approved]
        if approved
        else [one.run for one in api.read_left(order.where)]
    )
