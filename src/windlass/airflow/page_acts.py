"""What can be done with a run on the page within Airflow: an action triggers a DAG, or answers what
the run's own DAG run asks (`windlass.airflow.page_questions`). That is done with the login of the
person, so Airflow's rights decide, and its workers do the work.

Off unless the setting ``[windlass] page_actions`` is on.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from windlass import recorded
from windlass.airflow.page_dags import ACTS, DagAct, Sides
from windlass.airflow.page_links import ACTIONS, PREFIX, SECTION
from windlass.airflow.page_questions import Answer, Questions, answer_of, offered
from windlass.airflow.page_rest import (
    CONFLICT,
    FORBIDDEN,
    NO_SUCH,
    UNAVAILABLE,
    Rest,
    dag_path,
    dag_run_path,
)
from windlass.airflow.page_rights import USER, may_trigger
from windlass.airflow.web_ui import run_path
from windlass.errors import Refused, WindlassError
from windlass.model.acts import Act
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.report import Problem
from windlass.web import live, views
from windlass.web.access import is_own_form
from windlass.web.actions import Action, action_named
from windlass.web.guard import client_of
from windlass.web.reading import why
from windlass.web.site import (
    Offered,
    fault,
    html,
    person_of,
    render,
    root_of,
    site_of,
    stream,
    unknown,
)
from windlass.web.threads import in_thread
from windlass.web.watched import Watched

EVERY_SECONDS = 2.0  # Airflow is asked how a DAG run is
_TONES = {"success": views.GOOD, "failed": views.BAD}  # of DAG runs that have ended


@dataclass(frozen=True, slots=True)
class _Trigger:
    """An action that a DAG does."""

    act: DagAct
    watched: Watched
    sides: Sides
    detail: RunDetail

    @property
    def action(self) -> Action:
        return self.act.action

    @property
    def asked_of(self) -> Watched:
        return self.watched

    def command(self, *, force: bool) -> str:
        """The same on a terminal.

        Raises:
            Refused: the DAG's form cannot hold what the run was made with.
        """
        conf = json.dumps(self._conf(force=force))
        return shlex.join(["airflow", "dags", "trigger", self.act.dag_id, "--conf", conf])

    def _conf(self, *, force: bool) -> dict[str, Any]:
        return self.act.conf(self.sides, self.detail, force)

    async def carry_out(self, request: Request, *, force: bool) -> str:
        """Trigger the DAG; returns the page's path to its run.

        Raises:
            Refused: Airflow does not do it.
            WindlassError: what is to be recorded cannot be.
        """
        rest, dag_id, conf = Rest(request.scope), self.act.dag_id, self._conf(force=force)
        dag = await rest.get(dag_path(dag_id))
        if dag.status == NO_SUCH:
            raise Refused([Problem(dag_id, "there is no such DAG", "put its file into the folder")])
        if dag.is_good and dag.body.get("is_paused"):
            raise Refused([Problem(dag_id, "is paused", "unpause it")])
        number, target, run = "", self.watched.target, self.detail.status.run
        if not self.act.is_recorded:
            who, label = person_of(request).name, self.action.label
            act = Act(run, label, self.command(force=force), who, client_of(request))
            number = await in_thread(recorded.begin_act, target, act)
        body = {"logical_date": None, "conf": conf}
        answer = await rest.post(f"{dag_path(dag_id)}/dagRuns", body)
        result = f"DAG run {answer.body['dag_run_id']}" if answer.is_good else answer.fault
        if number:
            with suppress(WindlassError):  # it is triggered all the same
                await in_thread(recorded.end_act, target, number, result)
        if not answer.is_good:
            raise Refused([Problem(dag_id, answer.fault)])
        words = urlencode({"dag": dag_id, "dag_run": str(answer.body["dag_run_id"])})
        return f"/runs/{self.watched.key}/{run}/triggered?{words}"


_Deed = _Trigger | Answer


class Acts:
    """The actions on all targets; `sides` are their connections, by key."""

    def __init__(self, sides: Mapping[str, Sides]) -> None:
        self._sides = sides
        self._questions = Questions()

    def routes(self) -> list[Route]:
        place = "/runs/{key}/{run}/do/{action}"
        return [
            Route(place, self._ask, methods=["GET"]),
            Route(place, self._act, methods=["POST"]),
            Route("/runs/{key}/{run}/triggered", _triggered),
            Route("/runs/{key}/{run}/triggered/live", _live_triggered),
        ]

    async def offered(self, request: Request, watched: Watched, status: RunStatus) -> Offered:
        """What the person may do with a run now. Nothing if the journal cannot record it."""
        asked = await offered(self._questions, request, status)
        if not site_of(request).policy.allows_actions or not watched.records_acts:
            return Offered((), asked.elsewhere)
        triggered = [
            act.action
            for act in ACTS.values()
            if act.applies(self._sides[watched.key], status)
            and may_trigger(request.scope[USER], act.dag_id)
        ]
        return Offered((*asked.actions, *triggered), asked.elsewhere)

    async def _ask(self, request: Request) -> Response:
        found = await self._wanted(request)
        if isinstance(found, Response):
            return found
        deed, detail = found
        try:
            question = await in_thread(deed.action.asks, deed.asked_of, detail.status)
            command = deed.command(force=bool(question.loses))
        except WindlassError as error:
            return fault(request, UNAVAILABLE, "That cannot be foreseen", *why(error))
        view = {
            "watched": deed.watched,
            "status": detail.status,
            "action": deed.action,
            "question": question,
            "command": command,
        }
        return html(request, "ask.html", view)

    async def _act(self, request: Request) -> Response:
        form = await request.form()
        if not is_own_form(person_of(request), str(form.get("csrf", ""))):
            return fault(request, FORBIDDEN, "Not done", "The form was not one of this page's.")
        found = await self._wanted(request)
        if isinstance(found, Response):
            return found
        try:
            path = await found[0].carry_out(request, force=bool(form.get("force")))
        except WindlassError as error:
            return fault(request, CONFLICT, "Not done", *why(error))
        self._questions.expire()
        return RedirectResponse(f"{root_of(request)}{path}", 303)

    async def _wanted(self, request: Request) -> tuple[_Deed, RunDetail] | Response:
        """How the action of a request is done, and with which run; or why it is not done."""
        site, words = site_of(request), request.path_params
        watched, act, name = site.target(words["key"]), ACTS.get(words["action"]), words["action"]
        action = action_named(name)
        if watched is None or action is None:
            return unknown(request)
        if not site.policy.allows_actions:
            says = f"This page only shows. The setting [{SECTION}] {ACTIONS} changes that."
            return fault(request, FORBIDDEN, "Not allowed", says)
        if act is not None and not may_trigger(request.scope[USER], act.dag_id):
            says = f"In Airflow you may not trigger {act.dag_id}."
            return fault(request, FORBIDDEN, "Not allowed", says)
        site.reader.expire(watched)
        read = await site.reader.run(watched, words["run"])
        if read.value is None or read.fault:
            code = NO_SUCH if read.is_missing else UNAVAILABLE
            return fault(request, code, "This run cannot be shown", read.fault, read.hint)
        try:
            deed = await self._deed(request, watched, read.value, name)
        except WindlassError as error:
            return fault(request, UNAVAILABLE, "Not known just now", *why(error))
        if isinstance(deed, str):
            return fault(request, FORBIDDEN, "Not allowed", deed)
        if not watched.records_acts or deed is None:
            says = f"{action.label} is not possible for run {words['run']} as it is now."
            return fault(request, CONFLICT, "Not possible now", says)
        return deed, read.value

    async def _deed(
        self, request: Request, watched: Watched, detail: RunDetail, name: str
    ) -> _Deed | str | None:
        """How an action is done; None if the run does not allow it now. A text says why the person
        may not.

        Raises:
            WindlassError: Airflow does not show its questions or tasks.
        """
        act, sides = ACTS.get(name), self._sides[watched.key]
        if act is None:
            return await answer_of(self._questions, request, watched, detail.status, name)
        return _Trigger(act, watched, sides, detail) if act.applies(sides, detail.status) else None


async def _triggered(request: Request) -> Response:
    """The DAG run that an action has started."""
    view = await _dag_run_view(request)
    return view if isinstance(view, Response) else html(request, "triggered.html", view)


async def _live_triggered(request: Request) -> Response:
    """Its state, until it has ended."""
    view = await _dag_run_view(request)
    if isinstance(view, Response):
        return view

    async def fragments() -> Mapping[str, str]:
        now = await _dag_run_view(request)
        if not isinstance(now, Response):
            view.update(now)
        return {"state": render(request, "_triggered.html", view)}

    async def events() -> AsyncIterator[bytes]:
        async for one in live.changes(fragments, site_of(request).stopping, _pause):
            yield one
            if view["state"] in _TONES:
                yield live.event("over", "")
                return

    return stream(request, events())


async def _pause() -> None:
    await asyncio.sleep(EVERY_SECONDS)


async def _dag_run_view(request: Request) -> dict[str, Any] | Response:
    words, place, root = request.query_params, request.path_params, root_of(request)
    dag_id, run_id = words.get("dag", ""), words.get("dag_run", "")
    answer = await Rest(request.scope).get(dag_run_path(dag_id, run_id))
    if not answer.is_good:
        return fault(request, answer.status, "This DAG run cannot be shown", answer.fault)
    run, state = f"{root}/runs/{place['key']}/{place['run']}", str(answer.body["state"])
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "state": state,
        "tone": _TONES.get(state, views.PLAIN),
        "mark": views.MARKS[_TONES.get(state, views.PLAIN)],
        "dag_run": f"{root.removesuffix(PREFIX)}{run_path(dag_id, run_id)}",
        "live": f"{run}/triggered/live?{urlencode({'dag': dag_id, 'dag_run': run_id})}",
        "back": run,
    }
