"""What every request goes through: the host it was meant for, who makes it, and the headers that
tell a browser what a page may do. Plain ASGI, so that streams pass unchanged.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from windlass.web.access import (
    COOKIE,
    Policy,
    Sessions,
    host_is_known,
    is_from_here,
)

OPEN_PATHS = ("/login", "/health")
OPEN_FOLDER = "/static/"

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Puts the person who makes a request into its scope, or answers it itself."""

    def __init__(self, app: ASGIApp, policy: Policy, sessions: Sessions) -> None:
        self._app, self._policy, self._sessions = app, policy, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, sending)

    def _answer(self, scope: Scope) -> Response | None:
        """What is refused; None if a page answers it."""
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if not host_is_known(host, self._policy):
            text = "This page is not reached by that name. Name the host when you start it.\n"
            return PlainTextResponse(text, 421)
        if scope["method"] not in ("GET", "HEAD") and not is_from_here(headers, host):
            return PlainTextResponse("The form was not sent by this page.\n", 403)
        person = self._sessions.person(
            cookie_parser(headers.get("cookie", "")).get(COOKIE, ""),
            headers.get("authorization", ""),
            headers.get(self._policy.user_header, "") if self._policy.user_header else "",
            scope["client"][0] if scope.get("client") else "",
        )
        scope["person"] = person
        if person is None and path not in OPEN_PATHS and not path.startswith(OPEN_FOLDER):
            return self._ask(scope)
        return None

    def _ask(self, scope: Scope) -> Response:
        if not self._policy.tokens:
            text = f"The proxy has not named a user in {self._policy.user_header}.\n"
            return PlainTextResponse(text, 401)
        wants_page = "text/html" in Headers(scope=scope).get("accept", "")
        if scope["method"] == "GET" and wants_page:
            return RedirectResponse("/login", 303)
        return PlainTextResponse("Show a token: Authorization: Bearer TOKEN\n", 401)


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""
