"""The page within Airflow: which targets it shows, who may look, and who may act.

Targets are Airflow connections that the setting ``[windlass] page_connections`` names
(``AIRFLOW__WINDLASS__PAGE_CONNECTIONS``), alone or as ``source > target``. Who may see the runs of
all DAGs may look at everything, who may see those of one DAG at the runs that it has started. With
the setting ``page_actions``, who may trigger a DAG may do what it does.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow.api_fastapi.core_api.security import resolve_user_from_token
from airflow.configuration import conf
from fastapi import HTTPException
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from windlass.airflow.connections import address_of
from windlass.airflow.form import as_field
from windlass.airflow.page_acts import Acts
from windlass.airflow.page_dags import Sides, sides_in
from windlass.airflow.page_ending import note_end, server_here
from windlass.airflow.page_links import ACTIONS, CONNECTIONS, DAG_RUN, SECTION
from windlass.airflow.page_rest import token_of
from windlass.airflow.page_rights import USER, may_see
from windlass.airflow.page_runs import dag_of, dag_run, dag_run_plan, dag_run_report
from windlass.errors import WindlassError
from windlass.web.access import Policy, is_from_here
from windlass.web.guard import OPEN_FOLDER, UNGUARDED, Guard
from windlass.web.pages import make_app
from windlass.web.reading import why
from windlass.web.site import Site
from windlass.web.watched import watch_target, with_keys

log = logging.getLogger(__name__)
_RUN = re.compile(r"/runs/([^/]+)/([^/]+)(/.*)?")


@dataclass(slots=True)
class _Ending:
    """Notes the end of the server, from the first request on."""

    stopping: asyncio.Event
    task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self.task is None and (server := server_here()) is not None:
            self.task = asyncio.create_task(note_end(server, self.stopping))


@dataclass(frozen=True, slots=True)
class Shown:
    """What the setting names, with the addresses that its connections have now."""

    sides: Sides
    target: str = field(repr=False)
    source: str = field(default="", repr=False)


def read_shown() -> tuple[Shown, ...]:
    """Raises:
    BadSpec: the setting is malformed.
    WindlassError: it names a connection that does not exist, or cannot be read.
    """
    named = conf.get(SECTION, CONNECTIONS, fallback="")
    return tuple(
        Shown(one, _address(one.target), _address(one.source) if one.source else "")
        for one in sides_in(named or "")
    )


def _address(reference: str) -> str:
    try:
        return address_of(reference)
    except WindlassError:
        raise
    except Exception as error:  # any of a secrets backend; its text may have secrets
        log.warning("reading connection %s failed: %s", reference, type(error).__name__)
        raise WindlassError(
            f"connection {reference!r} cannot be read: Airflow reports {type(error).__name__}",
            hint="check Airflow's secrets backend and its metadata database",
        ) from None


def make_page(shown: Sequence[Shown] = ()) -> Starlette:
    """The application, for Airflow's API server. Plans and reports that tasks have left need no
    target."""
    targets = with_keys([watch_target(one.target, one.source) for one in shown])
    acts = Acts({watched.key: one.sides for watched, one in zip(targets, shown, strict=True)})
    policy = Policy(
        allows_actions=conf.getboolean(SECTION, ACTIONS, fallback=False), form_key=_form_key()
    )
    ending = _Ending(asyncio.Event())
    guard = Middleware(AirflowGuard, ending=ending)
    app = make_app(targets, policy, as_field, ending.stopping, guard, acts.offered)
    own = [
        Route(DAG_RUN, dag_run),
        Route(f"{DAG_RUN}/report", dag_run_report),
        Route(f"{DAG_RUN}/plan", dag_run_plan),
        *acts.routes(),
    ]
    app.router.routes[:0] = own
    return app


def end_streams(page: Starlette) -> None:
    """Another application takes its place: browsers connect to that."""
    site: Site = page.state.site
    site.stopping.set()


def _form_key() -> bytes:
    """The same in all API servers: one makes a form, and another may get it."""
    key = conf.get("api", "secret_key", fallback="") or ""
    return hmac.new(key.encode(), b"windlass page", "sha256").digest() if key else b""


def unmade(error: WindlassError) -> Response:
    """The answer to a request as long as the page cannot be made."""
    says, hint = why(error)
    lines = [f"The page of Windlass cannot be shown: {says}", hint]
    text = "\n".join(filter(None, lines))
    return PlainTextResponse(f"{text}\n", 503, headers=UNGUARDED)


class AirflowGuard(Guard):
    """Airflow's login, and its rights to see runs of DAGs."""

    framing = "'self'"

    def __init__(self, app: ASGIApp, ending: _Ending) -> None:
        super().__init__(app)
        self._ending = ending

    async def answer(self, scope: Scope) -> Response | None:
        self._ending.begin()
        path, headers = _path(scope), Headers(scope=scope)
        if path.startswith(OPEN_FOLDER):
            return None
        try:
            user = await resolve_user_from_token(token_of(scope))
        except HTTPException as error:
            return PlainTextResponse(f"{error.detail}: log in to Airflow\n", error.status_code)
        if _changes(scope) and not is_from_here(headers, headers.get("host", "")):
            return PlainTextResponse("The form was not sent by this page.\n", 403)
        site: Site = scope["app"].state.site
        scope["person"], scope[USER] = site.sessions.known(str(user.get_name())), user
        if may_see(user) or await self._is_theirs(scope, site):
            return None
        return PlainTextResponse("In Airflow you may not see the runs of all DAGs.\n", 403)

    @staticmethod
    async def _is_theirs(scope: Scope, site: Site) -> bool:
        """Whether it is about a single DAG whose runs they may see. What a DAG run shows is checked
        where its DAG is known."""
        if _path(scope).startswith(DAG_RUN):
            return True
        found = _RUN.fullmatch(_path(scope))
        watched = site.target(found[1]) if found else None
        if found is None or watched is None:
            return False
        read = await site.reader.run(watched, found[2])
        dag_id = dag_of(read.value.status) if read.value else ""
        return bool(dag_id) and may_see(scope[USER], dag_id)


def _path(scope: Mapping[str, str]) -> str:
    return scope["path"].removeprefix(scope.get("root_path", ""))


def _changes(scope: Mapping[str, str]) -> bool:
    return scope["method"] not in ("GET", "HEAD")
