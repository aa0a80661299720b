"""Requests that no browser makes, to the page of `windlass serve`: each is answered, and none is an
error of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.applications import Starlette

from sample_outcome import sample_outcome
from windlass import api
from windlass.cli.spelling import as_option
from windlass.model.outcome import RunDetail, RunStatus, State
from windlass.model.past import Foreseen
from windlass.model.report import Problem
from windlass.web import pages
from windlass.web.access import Policy
from windlass.web.guard import MOST_SENT, UNGUARDED
from windlass.web.pages import make_app
from windlass.web.reading import Read
from windlass.web.watched import watch_target

ANNE = "anne-has-this-token"
HERE = ("host", "localhost:8642")
FORM = ("content-type", "application/x-www-form-urlencoded")
STATUS = RunStatus("20261130_0600_abcd", State.DONE, "shop on old", "2026-11-30T06:00:00", "")


class Known:
    """A reader that knows one run."""

    def __init__(self, detail: RunDetail, fault: str = "") -> None:
        self._detail, self._fault = detail, fault

    async def run(self, watched: object, run: str) -> Read[RunDetail]:
        return Read(self._detail, self._fault)

    async def runs(self, watched: object) -> Read[Any]:
        return Read([self._detail.status], self._fault)

    def expire(self, watched: object) -> None:
        """Always fresh."""


def app_of(policy: Policy | None = None, reader: object = None) -> Starlette:
    target = replace(watch_target("postgresql://new/shop"), key="shop")
    app = make_app((target,), policy or Policy(), as_option, asyncio.Event())
    app.state.site = replace(app.state.site, reader=reader or Known(RunDetail(STATUS)))
    return app


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def ask(
    app: Starlette,
    path: str,
    *headers: tuple[str, str],
    method: str = "GET",
    body: Iterable[bytes] = (),
    query: str = "",
    client: str = "127.0.0.1",
) -> Answer:
    return asyncio.run(_ask(app, path, headers or (HERE,), method, list(body), query, client))


async def _ask(
    app: Starlette,
    path: str,
    headers: Iterable[tuple[str, str]],
    method: str,
    body: list[bytes],
    query: str,
    client: str,
) -> Answer:
    sent: list[dict[str, Any]] = []
    parts = iter([*body, None])

    async def receive() -> dict[str, Any]:
        part = next(parts, b"")
        if part is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": (client, 50000),
        "server": ("127.0.0.1", 8642),
        "state": {},
    }
    with suppress(AttributeError):  # raised again after its answer, for the server's log
        await app(scope, receive, send)
    start, *rest = sent
    text = b"".join(one["body"] for one in rest).decode()
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, text)


@pytest.mark.parametrize("is_lossy", [False, True])
def test_the_question_before_a_rollback_shows_the_command_that_runs(
    is_lossy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [Problem("table sale", "has rows of others")] if is_lossy else []
    monkeypatch.setattr(api, "foresee_rollback", lambda *_: Foreseen("drops 1 table", lost))
    asked = ask(app_of(Policy(allows_actions=True)), "/runs/shop/x/do/rollback")
    command = f"windlass rollback {STATUS.run} --yes{' --force' if is_lossy else ''}"
    assert f"<code>{command}</code>" in asked.text


@pytest.mark.parametrize("host", ["", "[", "[::1", "evil.example", "localhost@evil.example"])
def test_a_host_that_is_not_ours_is_not_answered(host: str) -> None:
    assert ask(app_of(), "/", ("host", host)).status == 421


def test_an_origin_that_is_no_url_is_another_site() -> None:
    answer = ask(app_of(), "/logout", HERE, ("origin", "http://["), method="POST")
    assert answer.status == 403


@pytest.mark.parametrize("known", [(), (FORM,)])
def test_nobody_can_fill_the_memory_of_the_page(known: tuple[tuple[str, str], ...]) -> None:
    """Anybody may send a token."""
    parts = [b"token=" + b"x" * 1000] * (MOST_SENT // 1000 + 2)
    app = app_of(Policy({ANNE: "anne"}))
    assert ask(app, "/login", HERE, *known, method="POST", body=parts).status == 413


def test_a_token_that_comes_in_parts_logs_in() -> None:
    app = app_of(Policy({ANNE: "anne"}))
    body = [b"token=", ANNE.encode()]
    answer = ask(app, "/login", HERE, FORM, method="POST", body=body)
    assert (answer.status, "windlass_session=" in answer.headers["set-cookie"]) == (303, True)


def test_wrong_tokens_are_tried_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections somebody opens."""
    monkeypatch.setattr(pages, "GUESS_SECONDS", 0.05)
    app = app_of(Policy({ANNE: "anne"}))

    async def guess() -> Answer:
        return await _ask(app, "/login", (HERE, FORM), "POST", [b"token=wrong"], "", "127.0.0.1")

    async def guesses() -> float:
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(guess() for _ in range(4)))
        assert [one.status for one in answers] == [403] * 4
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(guesses()) >= 4 * 0.05 - 0.01  # of the clock


@pytest.mark.parametrize("query", ["page=" + "9" * 5000, "page=-1", "page=%D9%A1", "search=%00%ff"])
def test_any_page_of_tables_can_be_asked_for(query: str) -> None:
    assert ask(app_of(), "/runs/shop/x", query=query).status == 200


def test_an_error_of_the_page_is_answered_as_safely_as_everything_else() -> None:
    answer = ask(app_of(reader=object()), "/")
    assert answer.status == 500
    assert {name: answer.headers.get(name) for name in UNGUARDED} == UNGUARDED
    assert "AttributeError" in answer.text
    assert "Traceback" not in answer.text


def test_a_target_that_does_not_answer_is_shown_as_it_was() -> None:
    app = app_of(reader=Known(RunDetail(STATUS), "has not answered for 2 seconds"))
    for path in ("/", "/runs/shop/x"):
        text = ask(app, path).text
        assert "has not answered for 2 seconds" in text
        assert STATUS.run in text
    assert ask(app, "/runs/shop/x/report").status == 503


@pytest.mark.parametrize(
    ("headers", "client", "status"),
    [
        ([("x-user", "bob")], "127.0.0.1", 200),
        ([("x-user", "bob")], "10.0.0.9", 401),
        ([("x-user", "eve"), ("x-user", "bob")], "127.0.0.1", 401),  # the proxy has only added its
        ([], "127.0.0.1", 401),
    ],
)
def test_the_header_of_a_proxy_counts_once_and_from_the_proxy(
    headers: list[tuple[str, str]], client: str, status: int
) -> None:
    app = app_of(Policy(user_header="X-User"))
    assert ask(app, "/", HERE, *headers, client=client).status == status


def test_a_run_with_losses_and_differences_is_shown() -> None:
    app = app_of(reader=Known(RunDetail(STATUS, sample_outcome())))
    answer = ask(app, "/runs/shop/x")
    assert answer.status == 200
    for words in (
        "the role does not exist on the target",
        "shop.table.note",
        "name, email",
        "id = 7",
    ):
        assert words in answer.text


def test_what_a_run_is_called_is_text_everywhere() -> None:
    hostile = "<img src=x onerror='x'>\"\u2028</script>"
    status = replace(STATUS, run=hostile, source=hostile)
    app = app_of(reader=Known(RunDetail(status, options={hostile: hostile})))
    for path in ("/", "/runs/shop/x"):
        text = ask(app, path).text
        assert "<img" not in text
        assert '</script>"' not in text
        assert "\u2028" not in text
