"""The page within Airflow: which targets it shows, and who may look.

Targets are Airflow connections that the setting ``[windlass] page_connections`` names
(``AIRFLOW__WINDLASS__PAGE_CONNECTIONS``). Who may see the runs of all DAGs may look.
"""

from __future__ import annotations

import asyncio

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import resolve_user_from_token
from airflow.configuration import conf
from fastapi import HTTPException
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from windlass.airflow.connections import address_of
from windlass.airflow.form import as_field
from windlass.web.access import Person, Policy
from windlass.web.guard import OPEN_FOLDER, Guard
from windlass.web.pages import make_app
from windlass.web.site import Site
from windlass.web.watched import watch_target, with_keys

SECTION, KEY = "windlass", "page_connections"


def make_page() -> Starlette:
    """The application, for Airflow's API server."""
    named = conf.get(SECTION, KEY, fallback="")
    ids = [one.strip() for one in named.split(",") if one.strip()]
    targets = with_keys([watch_target(address_of(one)) for one in ids])
    app = make_app(targets, Policy(), as_field, asyncio.Event(), Middleware(AirflowGuard))
    app.router.routes.insert(0, Route("/dag-run", _of_dag_run))
    return app


class AirflowGuard(Guard):
    """Airflow's login, and its right to see the runs of all DAGs."""

    framing = "'self'"

    async def answer(self, scope: Scope) -> Response | None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(OPEN_FOLDER):
            return None
        try:
            user = await resolve_user_from_token(_token(Headers(scope=scope)))
        except HTTPException as error:
            return PlainTextResponse(f"{error.detail}: log in to Airflow\n", error.status_code)
        scope["person"] = Person(str(user.get_name()))
        if get_auth_manager().is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.RUN, user=user
        ):
            return None
        return PlainTextResponse("In Airflow you may not see the runs of all DAGs.\n", 403)


def _token(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE_NAME_JWT_TOKEN)


async def _of_dag_run(request: Request) -> Response:
    """Redirect to the run that a DAG run has started; to the list if several or none are known."""
    site: Site = request.app.state.site
    root = request.scope.get("root_path", "")
    wanted = f"airflow {request.query_params.get('dag', '')} {request.query_params.get('run', '')}"
    found = []
    for watched in site.targets:
        read = await site.reader.runs(watched)
        found += [
            f"{root}/runs/{watched.key}/{one.run}"
            for one in read.value or ()
            if one.started_by.external_run == wanted
        ]
    if len(found) == 1:
        return RedirectResponse(found[0], 303)
    return RedirectResponse(f"{root}/", 303)
