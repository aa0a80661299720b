"""The pages: what is shown at which address, and what forms do."""

from __future__ import annotations

import asyncio
import re
import shlex
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from windlass import recorded
from windlass.errors import WindlassError
from windlass.flows.registry import flow_named
from windlass.metrics.live import live_samples
from windlass.metrics.text import written
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.wording import Spelling, all_spelled, word
from windlass.report.page import plan_page, run_page
from windlass.run.published import outcome_json
from windlass.run.reporting import past_outcome
from windlass.web import live, views
from windlass.web.access import COOKIE, SESSION_SECONDS, Policy, Sessions, is_own_form
from windlass.web.actions import Action, action_named, actions_of
from windlass.web.guard import UNGUARDED, OwnGuard, client_of
from windlass.web.history import live_log, log_page
from windlass.web.jobs import Job, Jobs
from windlass.web.reading import Read, Reader, why
from windlass.web.rendering import Renderer, statics
from windlass.web.site import (
    Offered,
    Offers,
    Site,
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

_TYPES = {"css": "text/css", "js": "text/javascript"}
MOST_RUNS = 200
GUESS_SECONDS = 1.0  # delay after a wrong token
MOST_SEARCHED = 200  # characters
LAST_ENTRIES = 8  # of the log, on a run's page


def make_app(
    targets: tuple[Watched, ...],
    policy: Policy,
    spelling: Spelling,
    stopping: asyncio.Event,
    guard: Middleware | None = None,
    offers: Offers | None = None,
) -> Starlette:
    """The application. `spelling` writes options in messages; `stopping` is set when its streams
    must end; `guard` decides who may look, in place of `windlass.web.guard`, and `offers` what they
    may do."""
    sessions = Sessions(policy)
    site = Site(
        targets, policy, sessions, Reader(), Jobs(), stopping, Renderer(spelling), spelling,
        offers or _offered,
    )  # fmt: skip
    run = "/runs/{key}/{run}"
    app = Starlette(
        routes=[
            Route("/", _runs),
            Route("/live", _live_runs),
            Route(run, _run),
            Route(f"{run}/live", _live_run),
            Route(f"{run}/log", log_page),
            Route(f"{run}/log/live", live_log),
            Route(f"{run}/report", _report),
            Route(f"{run}/plan", _plan),
            Route(f"{run}/do/{{action}}", _ask, methods=["GET"]),
            Route(f"{run}/do/{{action}}", _act, methods=["POST"]),
            Route("/jobs/{job}", _job),
            Route("/jobs/{job}/live", _live_job),
            Route("/jobs/{job}/stop", _stop_job, methods=["POST"]),
            Route("/login", _login, methods=["GET"]),
            Route("/login", _log_in, methods=["POST"]),
            Route("/logout", _log_out, methods=["POST"]),
            Route("/static/{name}", _static),
            Route("/health", _health),
            Route("/metrics", _metrics),
        ],
        middleware=[guard or Middleware(OwnGuard, policy=policy, sessions=sessions)],
        exception_handlers={404: _not_found, 405: _not_found, Exception: _broken},
    )
    app.state.site = site
    return app


# the list


async def _runs(request: Request) -> Response:
    site = site_of(request)
    state = request.query_params.get("state", "")
    return html(request, "runs.html", await _runs_view(site, state))


async def _runs_view(site: Site, state: str) -> Mapping[str, Any]:
    found = await asyncio.gather(*map(site.reader.runs, site.targets))
    groups = []
    for watched, read in zip(site.targets, found, strict=True):
        lines = [views.run_line(one) for one in read.value or ()]
        kept = [one for one in lines if not state or one.tone == state]
        groups.append(
            {
                "watched": watched,
                "fault": read.fault,
                "hint": read.hint,
                "is_known": read.value is not None,
                "lines": kept[:MOST_RUNS],
                "more": max(len(kept) - MOST_RUNS, 0),
                "all": len(lines),
            }
        )
    return {"groups": groups, "state": state}


async def _live_runs(request: Request) -> Response:
    site, state = site_of(request), request.query_params.get("state", "")

    async def fragments() -> Mapping[str, str]:
        return {"runs": render(request, "_runs.html", await _runs_view(site, state))}

    return stream(request, live.changes(fragments, site.stopping))


# one run


async def _run(request: Request) -> Response:
    site = site_of(request)
    watched = site.target(request.path_params["key"])
    if watched is None:
        return unknown(request)
    read = await site.reader.run(watched, request.path_params["run"])
    if read.value is None:
        return _unread(request, read)
    view = await _run_view(request, watched, read.value)
    return html(request, "run.html", {**view, "fault": read.fault, "hint": read.hint})


def _unread(request: Request, read: Read[RunDetail]) -> Response:
    status = 404 if read.is_missing else 503
    return fault(request, status, "This run cannot be shown", read.fault, read.hint)


async def _run_view(request: Request, watched: Watched, detail: RunDetail) -> Mapping[str, Any]:
    site, query = site_of(request), request.query_params
    status = detail.status
    offered = await site.offers(request, watched, status)
    return {
        "watched": watched,
        "detail": detail,
        "status": status,
        "line": views.run_line(status),
        "way_on": views.way_on(status),
        "steps": list(views.step_lines(detail)),
        "losses": views.loss_lines(detail.outcome.losses) if detail.outcome else (),
        "noun": flow_named(status.flow).words.noun,
        "streams": views.stream_lines(status),
        "tables": views.table_page(
            detail, query.get("search", "")[:MOST_SEARCHED], views.number_in(query.get("page", ""))
        ),
        "actions": offered.actions,
        "elsewhere": offered.elsewhere,
        "jobs": site.jobs.of_run(watched, status.run),
        "has_plan": bool(detail.relations),
        "compared_again": views.compared_again(detail),
        "entries": views.log_lines(detail.log.entries[:LAST_ENTRIES]) if detail.log else [],
        "entries_all": detail.log.all if detail.log else 0,
    }


async def _offered(request: Request, watched: Watched, status: RunStatus) -> Offered:
    """Programs can only look: they have no form."""
    can_act = site_of(request).policy.allows_actions and bool(person_of(request).csrf)
    return Offered(tuple(actions_of(watched, status)) if can_act else ())


async def _live_run(request: Request) -> Response:
    site = site_of(request)
    watched = site.target(request.path_params["key"])
    if watched is None:
        return unknown(request)

    async def fragments() -> Mapping[str, str]:
        read = await site.reader.run(watched, request.path_params["run"])
        unread = {"fault": read.fault, "hint": read.hint}
        shown = {"unread": render(request, "_unread.html", unread) if read.fault else ""}
        if read.value is None:
            return shown
        view = await _run_view(request, watched, read.value)
        parts = {
            name: render(request, f"_{name}.html", view)
            for name in ("head", "progress", "tables", "last")
        }
        return {**parts, **shown}

    return stream(request, live.changes(fragments, site.stopping))


# what can be forwarded


async def _report(request: Request) -> Response:
    """The report of a run, as a self-contained file."""
    site = site_of(request)
    watched = site.target(request.path_params["key"])
    if watched is None:
        return unknown(request)
    read = await site.reader.run(watched, request.path_params["run"])
    if read.value is None or read.fault:
        return _unread(request, read)
    outcome = past_outcome(read.value, flow_named(read.value.status.flow))
    return whole_page(await in_thread(run_page, _spelled(site, outcome_json(outcome))))


async def _plan(request: Request) -> Response:
    """The plan of a migration, to read and to sign."""
    site = site_of(request)
    watched = site.target(request.path_params["key"])
    if watched is None:
        return unknown(request)
    try:
        run = request.path_params["run"]
        found = await in_thread(lambda: recorded.read_plan(watched.where, run, looking=True))
    except WindlassError as error:
        return fault(request, 404, "This plan cannot be shown", *why(error))
    if found is None:
        return fault(request, 404, "No plan", "Only plans of migrations are kept as a page.")
    return whole_page(await in_thread(plan_page, _spelled(site, found)))


def _spelled(site: Site, document: Mapping[str, Any]) -> Mapping[str, Any]:
    return all_spelled(dict(document), site.spelling)


def whole_page(page: str) -> Response:
    """A page with its own style, and without scripts."""
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style[1].encode() if style else b"").digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )
    return HTMLResponse(page, headers={"content-security-policy": policy})


# actions


async def _found_action(request: Request) -> tuple[Watched, Read[RunDetail], Action] | Response:
    site = site_of(request)
    watched = site.target(request.path_params["key"])
    action = action_named(request.path_params["action"])
    if watched is None or action is None:
        return unknown(request)
    if not site.policy.allows_actions:
        says = f"This page only shows. Start it with {word('allow-actions')} to change that."
        return fault(request, 403, "Not allowed", says)
    site.reader.expire(watched)
    read = await site.reader.run(watched, request.path_params["run"])
    if read.value is None or read.fault:
        return _unread(request, read)
    if action not in actions_of(watched, read.value.status):
        says = f"{action.label} is not possible for run {read.value.status.run} as it is now."
        return fault(request, 409, "Not possible now", says)
    return watched, read, action


async def _ask(request: Request) -> Response:
    found = await _found_action(request)
    if isinstance(found, Response):
        return found
    watched, read, action = found
    assert read.value is not None
    try:
        words = action.arguments(watched, read.value)
        question = await in_thread(action.asks, watched, read.value.status)
    except WindlassError as error:
        return fault(request, 503, "That cannot be foreseen", *why(error))
    more = action.insisting if question.loses else ()
    view = {
        "watched": watched,
        "status": read.value.status,
        "action": action,
        "question": question,
        "command": shlex.join(["windlass", *words, *more]),
    }
    return html(request, "ask.html", view)


async def _act(request: Request) -> Response:
    person, site = person_of(request), site_of(request)
    form = await request.form()
    if not is_own_form(person, str(form.get("csrf", ""))):
        return fault(request, 403, "Not done", "The form was not one of this page's.")
    found = await _found_action(request)
    if isinstance(found, Response):
        return found
    watched, read, action = found
    assert read.value is not None
    try:
        words = action.arguments(watched, read.value)
        more = action.insisting if form.get("force") else ()
        run = read.value.status.run
        job = await site.jobs.start(
            watched, run, action, (*words, *more), person, client_of(request)
        )
    except WindlassError as error:
        return fault(request, 409, "Not done", *why(error))
    return RedirectResponse(f"{root_of(request)}/jobs/{job.id}", 303)


async def _job(request: Request) -> Response:
    job = site_of(request).jobs.find(request.path_params["job"])
    if job is None:
        return unknown(request)
    return html(request, "job.html", {"job": job, "can_stop": bool(person_of(request).csrf)})


async def _live_job(request: Request) -> Response:
    site = site_of(request)
    job = site.jobs.find(request.path_params["job"])
    if job is None:
        return unknown(request)
    view = {"job": job, "can_stop": bool(person_of(request).csrf)}

    async def fragments() -> Mapping[str, str]:
        return {"job": render(request, "_job.html", view)}

    async def ending() -> AsyncIterator[bytes]:
        async for one in live.changes(fragments, site.stopping, lambda: _woken(job)):
            yield one
            if job.is_over:
                site.reader.expire(job.watched)
                yield live.event("over", "")
                return

    return stream(request, ending())


async def _woken(job: Job) -> None:
    if not job.is_over:
        await job.changed.wait()
        await asyncio.sleep(live.TOGETHER_SECONDS)  # send lines that come together in one event


async def _stop_job(request: Request) -> Response:
    site, person = site_of(request), person_of(request)
    form = await request.form()
    if not is_own_form(person, str(form.get("csrf", ""))):
        return fault(request, 403, "Not done", "The form was not one of this page's.")
    job = site.jobs.find(request.path_params["job"])
    if job is None:
        return unknown(request)
    site.jobs.interrupt(job, person.name)
    return RedirectResponse(f"{root_of(request)}/jobs/{job.id}", 303)


# who is there


async def _login(request: Request) -> Response:
    return html(request, "login.html", {"fault": ""})


async def _log_in(request: Request) -> Response:
    site = site_of(request)
    form = await request.form()
    cookie = site.sessions.begin(str(form.get("token", "")).strip())
    if not cookie:
        async with site.guesses:
            await asyncio.sleep(GUESS_SECONDS)
        return html(request, "login.html", {"fault": "Nobody has this token."}, 403)
    response = RedirectResponse(f"{root_of(request)}/", 303)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


async def _log_out(request: Request) -> Response:
    form = await request.form()
    if is_own_form(person_of(request), str(form.get("csrf", ""))):
        site_of(request).sessions.end(request.cookies.get(COOKIE, ""))
    response = RedirectResponse(f"{root_of(request)}/login", 303)
    response.delete_cookie(COOKIE)
    return response


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    content = statics().get(name)
    if content is None:
        return PlainTextResponse("not found\n", 404)
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _metrics(request: Request) -> Response:
    """For Prometheus, which shows a token as programs do."""
    site = site_of(request)
    found = await asyncio.gather(*map(site.reader.runs, site.targets))
    runs = {  # an earlier reading is not a measurement
        one.title: None if read.fault else read.value
        for one, read in zip(site.targets, found, strict=True)
    }
    return Response(written(live_samples(runs)), media_type="text/plain; version=0.0.4")


async def _not_found(request: Request, error: Exception) -> Response:
    return unknown(request)


async def _broken(request: Request, error: Exception) -> Response:
    says = f"unexpected {type(error).__name__}; the terminal of windlass serve has more"
    response = fault(request, 500, "This is a fault in windlass", says, "please report it")
    response.headers.update(UNGUARDED)
    return response
