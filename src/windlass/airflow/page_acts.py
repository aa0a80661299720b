"""What can be done with a run on the page within Airflow: each action triggers a DAG, with the
login of the person, so Airflow's rights decide, and its workers do the work.

Off unless the setting ``[windlass] page_actions`` is on.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Iterable, Mapping
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
from windlass.web.actions import Action
from windlass.web.guard import client_of
from windlass.web.reading import why
from windlass.web.site import fault, html, person_of, render, root_of, site_of, stream, unknown
from windlass.web.threads import in_thread
from windlass.web.watched import Watched

EVERY_SECONDS = 2.0  # Airflow is asked how a DAG run is
_TONES = {"success": views.GOOD, "failed": views.BAD}  # of DAG runs that have ended


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An action that a person asks for, on a run that allows it."""

    act: DagAct
    watched: Watched
    sides: Sides
    detail: RunDetail

    @property
    def path(self) -> str:
        return f"/runs/{self.watched.key}/{self.detail.status.run}"


class Acts:
    """The actions on all targets; `sides` are their connections, by key."""

    def __init__(self, sides: Mapping[str, Sides]) -> None:
        self._sides = sides

    def routes(self) -> list[Route]:
        place = "/runs/{key}/{run}/do/{action}"
        return [
            Route(place, self._ask, methods=["GET"]),
            Route(place, self._act, methods=["POST"]),
            Route("/runs/{key}/{run}/triggered", _triggered),
            Route("/runs/{key}/{run}/triggered/live", _live_triggered),
        ]

    def offered(self, request: Request, watched: Watched, status: RunStatus) -> Iterable[Action]:
        """What the person may do with a run now. Nothing if the journal cannot record it."""
        if not site_of(request).policy.allows_actions or not watched.records_acts:
            return
        for act in ACTS.values():
            is_possible = act.applies(self._sides[watched.key], status)
            if is_possible and may_trigger(request.scope[USER], act.dag_id):
                yield act.action

    async def _ask(self, request: Request) -> Response:
        wanted = await self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        try:
            conf = wanted.act.conf(wanted.sides, wanted.detail, False)
            question = await in_thread(wanted.act.action.asks, wanted.watched, wanted.detail.status)
        except WindlassError as error:
            return fault(request, UNAVAILABLE, "That cannot be foreseen", *why(error))
        view = {
            "watched": wanted.watched,
            "status": wanted.detail.status,
            "action": wanted.act.action,
            "question": question,
            "command": _command(wanted.act.dag_id, conf),
        }
        return html(request, "ask.html", view)

    async def _act(self, request: Request) -> Response:
        form = await request.form()
        if not is_own_form(person_of(request), str(form.get("csrf", ""))):
            return fault(request, FORBIDDEN, "Not done", "The form was not one of this page's.")
        wanted = await self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        try:
            conf = wanted.act.conf(wanted.sides, wanted.detail, bool(form.get("force")))
            run_id = await _trigger(request, wanted, conf)
        except WindlassError as error:
            return fault(request, CONFLICT, "Not done", *why(error))
        words = urlencode({"dag": wanted.act.dag_id, "dag_run": run_id})
        return RedirectResponse(f"{root_of(request)}{wanted.path}/triggered?{words}", 303)

    async def _wanted(self, request: Request) -> _Wanted | Response:
        """The action of a request, or why it is not done."""
        site, words = site_of(request), request.path_params
        watched, act = site.target(words["key"]), ACTS.get(words["action"])
        if watched is None or act is None:
            return unknown(request)
        if not site.policy.allows_actions:
            says = f"This page only shows. The setting [{SECTION}] {ACTIONS} changes that."
            return fault(request, FORBIDDEN, "Not allowed", says)
        if not may_trigger(request.scope[USER], act.dag_id):
            says = f"In Airflow you may not trigger {act.dag_id}."
            return fault(request, FORBIDDEN, "Not allowed", says)
        site.reader.expire(watched)
        read = await site.reader.run(watched, words["run"])
        if read.value is None or read.fault:
            code = NO_SUCH if read.is_missing else UNAVAILABLE
            return fault(request, code, "This run cannot be shown", read.fault, read.hint)
        sides = self._sides[watched.key]
        if not watched.records_acts or not act.applies(sides, read.value.status):
            says = f"{act.action.label} is not possible for run {words['run']} as it is now."
            return fault(request, CONFLICT, "Not possible now", says)
        return _Wanted(act, watched, sides, read.value)


def _command(dag_id: str, conf: Mapping[str, Any]) -> str:
    """The same on a terminal."""
    return shlex.join(["airflow", "dags", "trigger", dag_id, "--conf", json.dumps(conf)])


async def _trigger(request: Request, wanted: _Wanted, conf: Mapping[str, Any]) -> str:
    """Trigger the DAG; returns the id of its run.

    Raises:
        Refused: Airflow does not do it.
        WindlassError: what is to be recorded cannot be.
    """
    rest, dag_id = Rest(request.scope), wanted.act.dag_id
    dag = await rest.get(dag_path(dag_id))
    if dag.status == NO_SUCH:
        raise Refused([Problem(dag_id, "there is no such DAG", "put its file into the folder")])
    if dag.is_good and dag.body.get("is_paused"):
        raise Refused([Problem(dag_id, "is paused", "unpause it")])
    number, target = "", wanted.watched.target
    if not wanted.act.is_recorded:
        command = _command(dag_id, conf)
        who, label = person_of(request).name, wanted.act.action.label
        act = Act(wanted.detail.status.run, label, command, who, client_of(request))
        number = await in_thread(recorded.begin_act, target, act)
    answer = await rest.post(f"{dag_path(dag_id)}/dagRuns", {"logical_date": None, "conf": conf})
    result = f"DAG run {answer.body['dag_run_id']}" if answer.is_good else answer.fault
    if number:
        with suppress(WindlassError):  # it is triggered all the same
            await in_thread(recorded.end_act, target, number, result)
    if not answer.is_good:
        raise Refused([Problem(dag_id, answer.fault)])
    return str(answer.body["dag_run_id"])


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
