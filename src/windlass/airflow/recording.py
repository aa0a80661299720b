"""Who has done what with a past run through a DAG, in the target's journal: Airflow's user."""

from __future__ import annotations

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
from windlass.errors import Refused, WindlassError
from windlass.model.acts import Act
from windlass.model.outcome import Outcome, State

if TYPE_CHECKING:
    from airflow.sdk import Context

    from windlass.airflow.acts import Order

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
        reason = "; ".join(lines_of(error))
        _end(target, numbers, f"not done: {reason}"[:MOST_SHOWN])
        raise
    for number in numbers:
        journal.end_act(target, number, "done")


def recorded_run(context: Context, target: str, what: str, act: Callable[[], Outcome]) -> Outcome:
    """Record what somebody has decided about the run that follows there, in advance, and how it
    ended. Who: the person who has answered the question before this task, or else who has triggered
    the DAG run.

    Raises:
        WindlassError: the journal cannot be written; nothing was done.
    """
    doing = Doing.of(context, what, _answer(context["ti"]))
    numbers = [
        journal.begin_act(target, Act(run, doing.what, doing.dag_run, doing.who, AIRFLOW))
        for run in _following(target)
    ]
    try:
        outcome = act()
    except WindlassError as error:
        reason = "; ".join(lines_of(error))
        _end(target, numbers, f"not done: {reason}"[:MOST_SHOWN])
        raise
    _end(target, numbers, _ended(outcome))
    return outcome


def _answer(ti: Any) -> Mapping[str, Any]:
    """The answer to the question before this task; {} if there is none."""
    pulled = (
        ti.xcom_pull(task_ids=task, key=key, map_indexes=-1)
        for task in sorted(ti.task.upstream_task_ids)
        for key in (ANSWER_KEY, "return_value")
    )
    found: Iterator[Mapping[str, Any]] = (one for one in pulled if isinstance(one, Mapping))
    return next((one for one in found if one.get("responded_by_user")), {})


def _following(target: str) -> Sequence[str]:
    """The run that follows there. Without one, the command says so."""
    found = [one for one in api.status(target) if one.following]
    return [one.run for one in found if one.following and not one.following.phase.is_over]


def _ended(outcome: Outcome) -> str:
    if outcome.state in (State.DONE, State.ABANDONED):
        return "done"
    problems = lines_of(Refused(outcome.reason.problems)) if outcome.reason.problems else ()
    reason = "; ".join(problems) or outcome.reason.message or str(outcome.state)
    return f"not done: {reason}"[:MOST_SHOWN]


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
