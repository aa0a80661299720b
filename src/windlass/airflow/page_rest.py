"""Airflow's REST interface, called within its API server with the login of the person who makes a
request: Airflow decides what they may do, checks it, and logs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from windlass.airflow.page_links import OUTER

_HERE = "http://airflow"  # no name is resolved: the application is called directly
FORBIDDEN, NO_SUCH, CONFLICT, UNAVAILABLE = 403, 404, 409, 503


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_withheld(self) -> bool:
        """The person may not see it, or it does not exist."""
        return self.status in (FORBIDDEN, NO_SUCH)

    @property
    def fault(self) -> str:
        """What Airflow says about an error."""
        detail = self.body.get("detail") if isinstance(self.body, dict) else None
        return str(detail or f"Airflow answers {self.status}")


def token_of(scope: Scope) -> str | None:
    """The token of a request. A header counts more than the cookie, as for Airflow itself."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE_NAME_JWT_TOKEN)


class Rest:
    """The REST interface for one request."""

    def __init__(self, scope: Scope) -> None:
        self._app, self._token = scope[OUTER], token_of(scope)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def post(self, path: str, json: object) -> Answer:
        return await self.ask("POST", path, json)

    async def ask(self, method: str, path: str, json: object = None) -> Answer:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {self._token}", "referer": _HERE}
        async with httpx.AsyncClient(transport=transport, base_url=_HERE) as client:
            answer = await client.request(method, f"/api/v2{path}", json=json, headers=headers)
        try:
            return Answer(answer.status_code, answer.json())
        except ValueError:
            return Answer(answer.status_code, None)


def dag_path(dag_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}"


def dag_run_path(dag_id: str, run_id: str) -> str:
    return f"{dag_path(dag_id)}/dagRuns/{quote(run_id, safe='')}"
