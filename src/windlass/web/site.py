"""What every page needs: what the application knows, and how it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from windlass.model.outcome import RunStatus
from windlass.model.wording import Spelling
from windlass.web.access import COOKIE, Person, Policy, Sessions
from windlass.web.actions import Action
from windlass.web.jobs import Jobs
from windlass.web.reading import Reader
from windlass.web.rendering import Renderer
from windlass.web.watched import Watched


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Something that a person does on another page. `says` comes before the link."""

    says: str
    label: str
    href: str


@dataclass(frozen=True, slots=True)
class Offered:
    """What the person who makes a request may do with a run now: here, and on other pages."""

    actions: tuple[Action, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()


Offers = Callable[[Request, Watched, RunStatus], Awaitable[Offered]]


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages need."""

    targets: tuple[Watched, ...]
    policy: Policy
    sessions: Sessions
    reader: Reader
    jobs: Jobs
    stopping: asyncio.Event
    render: Renderer
    spelling: Spelling
    offers: Offers
    guesses: asyncio.Lock = field(default_factory=asyncio.Lock)  # wrong tokens wait in line

    def target(self, key: str) -> Watched | None:
        return next((one for one in self.targets if one.key == key), None)


def site_of(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


def person_of(request: Request) -> Person:
    found: Person | None = request.scope.get("person")
    return found or Person("")


def html(request: Request, template: str, /, view: Mapping[str, Any], code: int = 200) -> Response:
    return HTMLResponse(render(request, template, view), code)


def render(request: Request, template: str, view: Mapping[str, Any]) -> str:
    site = site_of(request)
    more: dict[str, Any] = {"person": person_of(request), "root": root_of(request)}
    more["logs_out"] = bool(site.policy.tokens)  # others log out where they have logged in
    return site.render(template, {**more, **view})


def root_of(request: Request) -> str:
    """The prefix of all addresses, if another server has mounted the application."""
    found: str = request.scope.get("root_path", "")
    return found


def fault(request: Request, code: int, title: str, says: str, hint: str = "") -> Response:
    return html(request, "fault.html", {"title": title, "says": says, "hint": hint}, code)


def unknown(request: Request) -> Response:
    return fault(request, 404, "Not found", "There is nothing at this address.")


def stream(request: Request, events: AsyncIterator[bytes]) -> Response:
    """A stream, which ends when the person's session does."""
    sessions, person = site_of(request).sessions, person_of(request)
    cookie = request.cookies.get(COOKIE, "")

    async def shown() -> AsyncIterator[bytes]:
        async for one in events:
            if sessions.is_over(person, cookie):
                return
            yield one

    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(shown(), media_type="text/event-stream", headers=headers)
