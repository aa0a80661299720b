"""What the DAG run of a run that follows asks people, and their answers from the page: the run is
cut over, flipped back, finished or abandoned where its DAG asks for that, and nowhere else.

Airflow decides who may answer. To rehearse again, the task that rehearses is cleared; after it, the
DAG run asks again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from windlass import recorded
from windlass.airflow.page_links import PREFIX
from windlass.airflow.page_rest import Rest, dag_path
from windlass.airflow.page_rights import USER, may_answer, may_clear
from windlass.airflow.page_runs import DagRun
from windlass.airflow.web_ui import run_path
from windlass.errors import Refused, WindlassError
from windlass.model.acts import Act
from windlass.model.outcome import RunStatus
from windlass.model.report import Problem
from windlass.web.actions import Action, action_named
from windlass.web.guard import client_of
from windlass.web.site import Elsewhere, Offered, person_of, root_of, site_of
from windlass.web.threads import in_thread
from windlass.web.watched import Watched

# actions of the page whose label is an answer
ANSWERS, REHEARSE, CUT_OVER = ("cutover", "back", "finish", "abandon"), "rehearse", "cutover"
FRESH_SECONDS = 3.0  # pages look every second, and each look is a query of Airflow's database
_OURS = "AskingChoice"  # the operator whose answers are those of the page
_WAITING = ("awaiting_input", "deferred")  # as of Airflow 3.3, and before


@dataclass(frozen=True, slots=True)
class Asked:
    """What a DAG run asks, as Airflow shows it; or why Airflow does not."""

    questions: tuple[Question, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a task. `options` are the possible answers."""

    dag_run: DagRun
    task_id: str
    map_index: int
    subject: str
    options: tuple[str, ...]
    is_open: bool
    is_ours: bool

    @classmethod
    def of(cls, dag_run: DagRun, found: Mapping[str, Any]) -> Question:
        """As Airflow's REST interface returns it."""
        task = found["task_instance"]
        return cls(
            dag_run,
            str(task["task_id"]),
            int(task["map_index"]),
            str(found["subject"]),
            tuple(found["options"]),
            not found["response_received"] and task["state"] in _WAITING,
            _OURS in (task.get("operator_name"), task.get("operator")),
        )

    @property
    def path(self) -> str:
        """Where Airflow's REST interface takes an answer."""
        task = quote(self.task_id, safe="")
        return f"{self.dag_run.path}/taskInstances/{task}/{self.map_index}/hitlDetails"

    @property
    def place(self) -> str:
        """Where Airflow's web UI asks it."""
        mapped = f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
        task = f"{quote(self.task_id, safe='')}{mapped}"
        return f"{run_path(self.dag_run.dag_id, self.dag_run.run_id)}/tasks/{task}/required_actions"


class Questions:
    """What DAG runs ask, as a person may see it; read again after a while."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, DagRun], tuple[float, Asked]] = {}

    async def of(self, request: Request, dag_run: DagRun) -> Asked:
        """Those that are open, and those that have been answered: of the last try of each task.
        Nothing if the person may not see them, or Airflow has forgotten the DAG run."""
        now, key = time.monotonic(), (person_of(request).name, dag_run)
        self._kept = {one: kept for one, kept in self._kept.items() if kept[0] > now}
        if key in self._kept:
            return self._kept[key][1]
        answer = await Rest(request.scope).get(f"{dag_run.path}/hitlDetails?limit=100")
        listed = answer.body["hitl_details"] if answer.is_good else ()
        fault = "" if answer.is_good or answer.is_withheld else answer.fault
        found = Asked(tuple(Question.of(dag_run, one) for one in listed), fault)
        self._kept[key] = now + FRESH_SECONDS, found
        return found

    def expire(self) -> None:
        self._kept.clear()


def asking(status: RunStatus) -> DagRun | None:
    """The DAG run that decides about a run that follows; None if none does."""
    if status.following is None or status.following.phase.is_over:
        return None
    return DagRun.that_started(status)


async def offered(questions: Questions, request: Request, status: RunStatus) -> Offered:
    """The answers that a person may give, and where Airflow asks."""
    dag_run = asking(status)
    if dag_run is None or status.following is None:
        return Offered()
    asked = await questions.of(request, dag_run)
    found = asked.questions
    outside = root_of(request).removesuffix(PREFIX)
    elsewhere = tuple(
        Elsewhere("Waiting for an answer:", one.subject, f"{outside}{one.place}")
        for one in found
        if one.is_open
    )
    if asked.fault or (not elsewhere and _asked(found, REHEARSE)):
        says = (
            f"Airflow does not show what the DAG run asks ({asked.fault}):"
            if asked.fault
            else "A cutover is decided in its DAG run, which has no open question now:"
        )
        place = run_path(dag_run.dag_id, dag_run.run_id)
        elsewhere = (Elsewhere(says, f"{dag_run.dag_id}, {dag_run.run_id}", f"{outside}{place}"),)
    names = (REHEARSE, *ANSWERS) if site_of(request).policy.allows_actions else ()
    may = {name: _may(request, name, dag_run.dag_id) for name in names}
    actions = [_named(name) for name in names if may[name] and _asked(found, name)]
    return Offered(tuple(one for one in actions if applies(one, status)), elsewhere)


def applies(action: Action, status: RunStatus) -> bool:
    """Whether the run's state allows it. Nothing is rehearsed that nobody follows."""
    return action.applies(status) and (action.name != REHEARSE or status.active)


def _named(name: str) -> Action:
    found = action_named(name)
    assert found is not None
    return found


def _may(request: Request, name: str, dag_id: str) -> bool:
    decides = may_clear if name == REHEARSE else may_answer
    return decides(request.scope[USER], dag_id)


def _asked(found: tuple[Question, ...], name: str) -> Question | None:
    """The question with this answer; for a rehearsal the one that comes after it, also if it has
    been answered."""
    option = _named(CUT_OVER if name == REHEARSE else name).label
    known = [one for one in found if one.is_ours and option in one.options]
    return next((one for one in known if one.is_open or name == REHEARSE), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """An action that is an answer to a question. The task that comes after it records who has
    answered."""

    action: Action
    question: Question
    watched: Watched
    run: str
    tasks: tuple[str, ...] = ()  # that rehearse: they are cleared, and the question comes again

    @property
    def title(self) -> str:
        return f"{self.question.dag_run.dag_id}, {self.question.task_id}"

    @property
    def asked_of(self) -> Watched:
        limit = f"max_freeze in the spec of {self.question.dag_run.dag_id}"
        return replace(self.watched, freeze_limit=limit)

    def command(self, *, force: bool = False) -> str:
        """The request that it is, to Airflow's REST interface. Nothing of it is forced."""
        method, path, body = self._request()
        return f"{method} /api/v2{path} {json.dumps(body)}"

    async def carry_out(self, request: Request, *, force: bool) -> str:
        """Returns the page's path to what comes of it.

        Raises:
            Refused: Airflow does not do it.
            WindlassError: it cannot be recorded.
        """
        target, number = self.watched.target, ""
        if self.tasks:
            who = person_of(request).name
            act = Act(self.run, self.action.label, self.command(), who, client_of(request))
            number = await in_thread(recorded.begin_act, target, act)
        method, path, body = self._request()
        answer = await Rest(request.scope).ask(method, path, body)
        if number:
            dag_run = self.question.dag_run.run_id
            done = f"DAG run {dag_run} rehearses again"
            with suppress(WindlassError):  # it is done all the same
                await in_thread(
                    recorded.end_act, target, number, done if answer.is_good else answer.fault
                )
        if not answer.is_good:
            raise Refused([Problem(self.title, answer.fault)])
        return f"/runs/{self.watched.key}/{quote(self.run)}"

    def _request(self) -> tuple[str, str, Mapping[str, Any]]:
        if not self.tasks:
            words = {"chosen_options": [self.action.label], "params_input": {}}
            return "PATCH", self.question.path, words
        dag_run = self.question.dag_run
        clear: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": dag_run.run_id,
            "task_ids": list(self.tasks),
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": False,
            "prevent_running_task": True,  # such as a cutover
        }
        return "POST", f"{dag_path(dag_run.dag_id)}/clearTaskInstances", clear


async def answer_of(
    questions: Questions, request: Request, watched: Watched, status: RunStatus, name: str
) -> Answer | str | None:
    """How an action is done that a question decides; None if no question does. A text says why the
    person may not.

    Raises:
        WindlassError: Airflow does not show its questions or tasks.
    """
    dag_run = asking(status)
    if dag_run is None:
        return None
    questions.expire()
    asked = await questions.of(request, dag_run)
    if asked.fault:
        raise WindlassError(f"Airflow does not show what {dag_run.dag_id} asks: {asked.fault}")
    question = _asked(asked.questions, name)
    if question is None or not applies(_named(name), status):
        return None
    if not _may(request, name, dag_run.dag_id):
        dag_id = dag_run.dag_id
        does = f"clear tasks of {dag_id}" if name == REHEARSE else f"answer what {dag_id} asks"
        return f"In Airflow you may not {does}."
    answer = Answer(_named(name), question, watched, status.run)
    if name != REHEARSE:
        return answer
    listed = await Rest(request.scope).get(f"{dag_path(dag_run.dag_id)}/tasks")
    if not (listed.is_good or listed.is_withheld):
        raise WindlassError(f"Airflow does not show the tasks of {dag_run.dag_id}: {listed.fault}")
    before = [
        str(one["task_id"])
        for one in (listed.body["tasks"] if listed.is_good else ())
        if question.task_id in one["downstream_task_ids"]
    ]
    return replace(answer, tasks=tuple(before)) if before else None
