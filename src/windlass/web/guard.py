"""What every request goes through: the host it was meant for, who makes it, and the headers that
tell a browser what a page may do. Plain ASGI, so that streams pass unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod

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

MOST_SENT = 1 << 16  # bytes of a form, which has a token or a few answers
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'"
)
_CONTENT = "content-security-policy"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
UNGUARDED = {**HEADERS, _CONTENT: f"{POLICY}; frame-ancestors 'none'"}
"""Headers of an answer that is made outside of the guard, to an error of ours."""


class Guard(ABC):
    """Answers a request, or passes it on with the person who makes it in its scope. `framing` lists
    the sites that may embed the page, as in a content security policy."""

    framing = "'none'"

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                content = headers.get(_CONTENT, POLICY)
                headers[_CONTENT] = f"{content}; frame-ancestors {self.framing}"
            await send(message)

        answer = await self.answer(scope)
        if answer is None and scope["method"] not in ("GET", "HEAD"):
            body = await _whole(receive)
            answer = PlainTextResponse("The form is too long.\n", 413) if body is None else None
            receive = _again(body or b"", receive)
        await (answer or self._app)(scope, receive, sending)

    @abstractmethod
    async def answer(self, scope: Scope) -> Response | None:
        """The refusal of a request; None if a page may answer it."""


class OwnGuard(Guard):
    """The guard of `windlass serve`: tokens, or a proxy that names people."""

    def __init__(self, app: ASGIApp, policy: Policy, sessions: Sessions) -> None:
        super().__init__(app)
        self._policy, self._sessions = policy, sessions

    async def answer(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        host = headers.get("host", "")
        if not host_is_known(host, self._policy):
            text = "This page is not reached by that name. Name the host when you start it.\n"
            return PlainTextResponse(text, 421)
        if scope["method"] not in ("GET", "HEAD") and not is_from_here(headers, host):
            return PlainTextResponse("The form was not sent by this page.\n", 403)
        person = self._sessions.person(
            cookie_parser(headers.get("cookie", "")).get(COOKIE, ""),
            headers.get("authorization", ""),
            headers.getlist(self._policy.user_header) if self._policy.user_header else (),
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
            return RedirectResponse(f"{scope.get('root_path', '')}/login", 303)
        return PlainTextResponse("Show a token: Authorization: Bearer TOKEN\n", 401)


async def _whole(receive: Receive) -> bytes | None:
    """The body of a request; None if it is larger than our forms, or incomplete. Anybody may send
    one, so its size is limited before it is parsed."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None  # the client has disconnected
        body += message.get("body", b"")
        if len(body) > MOST_SENT:
            return None
        more = message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Receives this body, which was already read, and then what the client sends."""
    kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return kept.pop() if kept else await receive()

    return received


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""
