"""The log of a run: what happened in it, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from windlass.model.logged import LogPart
from windlass.web import live, views
from windlass.web.reading import LogKey
from windlass.web.site import fault, html, render, site_of, stream, unknown
from windlass.web.watched import Watched

PAGE_ENTRIES = 200


async def log_page(request: Request) -> Response:
    site, key = site_of(request), _wanted(request)
    watched = site.target(request.path_params["key"])
    if watched is None:
        return unknown(request)
    read = await site.reader.log(watched, key)
    if read.value is None:
        status = 404 if read.is_missing else 503
        return fault(request, status, "This log cannot be shown", read.fault, read.hint)
    view = _view(request, watched, key, read.value)
    return html(request, "log.html", {**view, "fault": read.fault, "hint": read.hint})


async def live_log(request: Request) -> Response:
    site, key = site_of(request), _wanted(request)
    watched = site.target(request.path_params["key"])
    if watched is None:
        return unknown(request)

    async def fragments() -> Mapping[str, str]:
        read = await site.reader.log(watched, key)
        unread = {"fault": read.fault, "hint": read.hint}
        shown = {"unread": render(request, "_unread.html", unread) if read.fault else ""}
        if read.value is None:
            return shown
        view = _view(request, watched, key, read.value)
        return {"log": render(request, "_log.html", view), **shown}

    return stream(request, live.changes(fragments, site.stopping))


def _wanted(request: Request) -> LogKey:
    """The part of the log that an address names."""
    query = request.query_params
    page = views.number_in(query.get("page", ""))
    return LogKey(
        request.path_params["run"],
        (page - 1) * PAGE_ENTRIES,
        PAGE_ENTRIES,
        with_items=query.get("items", "") == "all",
    )


def _view(request: Request, watched: Watched, key: LogKey, found: LogPart) -> Mapping[str, Any]:
    page = key.start // PAGE_ENTRIES + 1
    return {
        "watched": watched,
        "run": key.run,
        "entries": views.log_lines(found.entries),
        "all": found.all,
        "number": page,
        "pages": max(-(-found.all // PAGE_ENTRIES), 1),
        "items": "all" if key.with_items else "",
    }
