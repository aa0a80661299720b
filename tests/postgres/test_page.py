"""The page of `windlass serve` in a real browser, beside real runs."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from awaiting import await_true
from browsing import DESKTOP, PHONE, TOKEN, Page, chromium, serving
from command import DONE, finish, kill_group, migrate, start
from follow_runs import phase, until_lag_known
from locking import holding
from pursued import TABLES as FOLLOWED
from pursued import following
from servers import PASSWORD, Database, Pair

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

HOSTILE = "<img src=x onerror='document.title=1'>"
TABLES = (
    "create schema shop",
    "create table shop.orders (id int primary key, note text)",
    "insert into shop.orders select i, 'n' || i from generate_series(1, 500) i",
    f'create table shop."{HOSTILE}" as select 1 as a',
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens a tab; several share a login only if they share `context`."""
    contexts: list[Any] = []

    def opened(page: Page, **how: Any) -> Tab:
        context = browser.new_context(**{"viewport": DESKTOP, **how})
        contexts.append(context)
        found: Tab = context.new_page()
        found.set_default_timeout(20_000)
        log_in(found, page)
        return found

    yield opened
    for context in contexts:
        context.close()


def log_in(tab: Tab, page: Page) -> None:
    tab.goto(page.url)
    tab.fill("#token", TOKEN)
    tab.click("text=Log in >> visible=true >> nth=-1")
    tab.wait_for_selector("h1:has-text('Runs')")


def sides(pair: Pair) -> dict[str, str]:
    return {"WINDLASS_SOURCE": pair.source.url, "WINDLASS_TARGET": pair.target.url}


def journalled(pair: Pair) -> None:
    """The target has a journal, from a run before."""
    pair.source.run(*TABLES, "create schema first", "create table first.t as select 1 as a")
    migrate(pair, "--schema", "first").expect(DONE)


def test_a_run_is_watched_to_its_end_by_two_tabs(pair: Pair, tab: Any) -> None:
    """Without loading again, also on a phone, and over a restart of the page."""
    journalled(pair)
    with serving(env=sides(pair)) as page:
        first, second = tab(page), tab(page, viewport=PHONE, color_scheme="dark")
        with holding(pair.target, "lock table windlass.line in share mode"):
            run = start("migrate", "--schema", "shop", "--json", pair=pair)
            await_true(pair, "select count(*) = 2 from windlass.run")
            first.wait_for_selector("td.state:has-text('running')")
            link = first.locator("tr:has-text('running') th a")
            link.focus()
            first.keyboard.press("Enter")  # no pointer is needed
            first.wait_for_selector(".verdict:has-text('Running')")
            second.goto(first.url)
            second.wait_for_selector(".verdict:has-text('Running')")
            assert second.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            assert "rgb(20, 23, 28)" in second.evaluate(
                "getComputedStyle(document.body).backgroundColor"
            )
        finish(run).expect(DONE)
        for one in (first, second):
            one.wait_for_selector(".verdict.good:has-text('Done')")
            one.wait_for_selector("#tables th:has-text('shop.orders')")
        assert first.title() != "1"
        assert HOSTILE in first.inner_text("#tables")
        first.click("#whole-log")
        first.wait_for_selector("#log li:has-text('migration ended: done')")
        assert "copy tables: done" in first.inner_text("#log")
        first.click("text=With every item")
        first.wait_for_selector("#log li:has-text('shop.orders, 500 rows')")
        first.go_back()
        first.go_back()
        run_page = first.url.partition("?")[0]
        refused: list[str] = []  # by the page's own policy
        first.on("console", lambda one: refused.append(one.text))
        for name in ("report", "plan"):
            first.goto(f"{run_page}/{name}")
            assert "shop.orders" in first.inner_text("main")
            assert "rgb" in first.evaluate(
                "getComputedStyle(document.querySelector('.verdict')).borderLeftColor"
            )
        assert refused == []


def test_a_run_that_is_killed_while_it_is_watched_is_shown_as_killed(pair: Pair, tab: Any) -> None:
    journalled(pair)
    with serving(env=sides(pair)) as page:
        watching = tab(page)
        with holding(pair.target, "lock table windlass.line in share mode"):
            run = start("migrate", "--schema", "shop", "--json", pair=pair)
            watching.wait_for_selector("td.state:has-text('running')")
            kill_group(run)
            run.wait()
        watching.wait_for_selector("td.state.bad:has-text('killed')")


def test_a_page_that_is_open_while_its_server_restarts_goes_on(pair: Pair, tab: Any) -> None:
    journalled(pair)
    with serving(env=sides(pair)) as page:
        watching = tab(page)
        watching.wait_for_selector("#connection:has-text('Live')")
        port = page.port
    watching.wait_for_selector("#connection:has-text('Not connected')")
    with serving("--port", port, env=sides(pair)) as page:  # sessions ended with the first
        watching.click("#connection a:has-text('load this page again')")
        watching.wait_for_selector("#token")
        log_in(watching, page)
        watching.wait_for_selector("#connection:has-text('Live')")


def test_a_run_is_rolled_back_from_the_page_and_the_journal_has_who_did_it(
    pair: Pair, tab: Any
) -> None:
    journalled(pair)
    run = migrate(pair, "--schema", "shop").expect(DONE).result["run"]
    with serving("--allow-actions", env=sides(pair)) as page:
        acting = tab(page)
        acting.goto(f"{page.url}/runs/{key_of(acting)}/{run}")
        acting.click("text=Roll back")
        assert "drops 2 tables" in acting.inner_text("main")
        acting.click("button.grave")
        acting.wait_for_selector(".verdict.good:has-text('Done')", timeout=60_000)
        acting.click(f"a:has-text('Run {run}')")
        acting.wait_for_selector(".verdict:has-text('Rolled back')")
        assert "exit code 0" in acting.inner_text("main")
        whole = acting.content()
    assert PASSWORD not in whole + page.said
    assert pair.target.value("select to_regclass('shop.orders')") is None
    assert pair.target.rows("select run, what, who, result from windlass.act") == [
        (run, "Roll back", "token", "exit code 0")
    ]


def test_differences_are_found_shown_and_repaired(pair: Pair, tab: Any) -> None:
    pair.source.run(*TABLES)
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run("update shop.orders set note = 'changed' where id = 7")
    with serving("--allow-actions", env=sides(pair)) as page:
        acting = tab(page)
        acting.goto(f"{page.url}/runs/{key_of(acting)}/{run}")
        acting.click("text=Verify again")
        acting.click("button.go")
        acting.wait_for_selector("text=exit code 1", timeout=90_000)
        assert "note" in acting.inner_text("#job")
        acting.click(f"a:has-text('Run {run}')")
        # the run itself ended as equal
        assert "Differences found since" in acting.inner_text("#head")
        acting.click("text=Repair differences")
        acting.click("button.grave")
        acting.wait_for_selector("text=exit code 0", timeout=90_000)
        acting.click("header a:has-text('All runs')")
        acting.click(f"a:has-text('{run}')")
        assert "Differences found since" not in acting.inner_text("#head")
    assert pair.target.value("select note from shop.orders where id = 7") == "n7"
    assert pair.target.rows("select what from windlass.act order by at") == [
        ("Verify again",),
        ("Repair differences",),
    ]


@pytest.mark.full
def test_a_cutover_and_its_flip_back_are_rehearsed_and_done_from_the_page(
    logical: Callable[[int], Database], tab: Any
) -> None:
    pair = Pair(logical(16), logical(18))
    pair.source.run(*FOLLOWED)
    with following(pair) as follower, serving("--allow-actions", env=sides(pair)) as page:
        until_lag_known(pair, follower)
        acting = tab(page)
        acting.click("#runs th a")
        acting.wait_for_selector(".verdict:has-text('Following')")
        run_page = acting.url
        acting.wait_for_selector("#progress dd:has-text('lag')")
        assert "of WAL kept" in acting.inner_text("#progress")
        for label, button, becomes in (
            ("Rehearse the cutover", "button.go", "following"),
            ("Cut over", "button.grave", "switched"),
            ("Flip back", "button.grave", "following"),
        ):
            acting.click(f"a.button:has-text('{label}')")
            acting.click(button)
            acting.wait_for_url("**/jobs/*")
            acting.wait_for_selector(".verdict:has-text('exit code 0')", timeout=60_000)
            assert phase(pair) == becomes
            acting.goto(run_page)
        token = f"Bearer {TOKEN}"
        metrics = ask(page, "GET", "/metrics", Authorization=token)[1]
        whats = pair.target.rows("select what, result from windlass.act order by at")
    assert re.search(r'windlass_follow_phase\{.*phase="following".*\} 1\n', metrics)
    assert re.search(r'windlass_follow_lag_seconds\{direction="forward"', metrics)
    assert whats == [
        ("Rehearse the cutover", "exit code 0"),
        ("Cut over", "exit code 0"),
        ("Flip back", "exit code 0"),
    ]


def test_a_target_that_does_not_answer_delays_no_other(pair: Pair) -> None:
    """Nor the end of the page, which does not wait for it."""
    journalled(pair)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/away?connect_timeout=60"
        token = f"Bearer {TOKEN}"
        targets = ("--target", away, "--target", pair.target.url)
        with serving(*targets, env={"WINDLASS_SOURCE": ""}) as page:
            text = ""
            while not re.search(r"/runs/[\w-]+/\w+", text):  # a busy machine reads slowly
                began = time.monotonic()
                status, text = ask(page, "GET", "/", Authorization=token)
                assert time.monotonic() - began < 20  # of the 60 that a connection may take
                assert status == 200
                assert "has not answered" in text


def key_of(tab: Tab) -> str:
    """Of the only target, as the page's addresses have it."""
    link = tab.locator("#runs th a").first.get_attribute("href")
    assert link
    return link.split("/")[2]


@pytest.mark.full
def test_answers_stay_small_with_5000_tables(pair: Pair, tab: Any) -> None:
    pair.source.run(
        "do $$ begin for i in 1..5000 loop"
        " execute format('create table t%s (a int)', i); end loop; end $$"
    )
    run = migrate(pair, "--verify", "none").expect(DONE).result["run"]
    with serving(env=sides(pair)) as page:
        watching = tab(page)
        key = key_of(watching)
        sizes: list[int] = []
        watching.on("response", lambda one: sizes.append(_size(one)))
        watching.goto(f"{page.url}/runs/{key}/{run}")
        watching.goto(f"{page.url}/runs/{key}/{run}?search=t49")
        assert watching.locator("#tables tbody tr").count() == 100
        assert "111 of 5,000" in watching.inner_text("#tables")
    assert max(sizes) < 300_000


def _size(response: Any) -> int:
    if "event-stream" in response.headers.get("content-type", ""):
        return 0
    return len(response.body())


def ask(page: Page, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    """A request that no browser makes."""
    place = urlsplit(page.url).netloc
    connection = http.client.HTTPConnection(place, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    connection.request(method, path, body, {"Host": place, **form, **given})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text + str(answer.getheaders())


def test_what_is_not_allowed_is_refused(pair: Pair) -> None:
    """Without a token, with a wrong one, by another host's name, by a form of another site, and an
    action where none are allowed."""
    journalled(pair)
    token = f"Bearer {TOKEN}"
    with serving(env=sides(pair)) as page:
        assert ask(page, "GET", "/")[0] == 401
        assert ask(page, "GET", "/", Accept="text/html")[0] == 303
        assert ask(page, "GET", "/", Authorization="Bearer wrong")[0] == 401
        assert ask(page, "GET", "/", Host="evil.example", Authorization=token)[0] == 421
        wrong, text = ask(page, "POST", "/login", "token=wrong")
        assert (wrong, "Nobody has this token" in text) == (403, True)
        status, text = ask(page, "POST", "/login", f"token={TOKEN}")
        cookie = re.search(r"windlass_session=[\w-]+", text)
        assert status == 303
        assert cookie
        assert "HttpOnly" in text
        assert "SameSite=strict" in text
        status, listed = ask(page, "GET", "/", Cookie=cookie[0])
        found = re.search(r"/runs/[\w-]+/\w+", listed)
        assert found
        undo = f"{found[0]}/do/rollback"
        assert ask(page, "GET", undo, Cookie=cookie[0])[0] == 403  # no actions are allowed
        assert ask(page, "POST", undo, "csrf=x", Cookie=cookie[0])[0] == 403
        assert ask(page, "GET", "/metrics")[0] == 401
        metrics = ask(page, "GET", "/metrics", Authorization=token)[1]
        assert re.search(r'windlass_live_rows\{.*flow="migrate".*\} 1', metrics)
        policy = ask(page, "GET", "/", Cookie=cookie[0])[1]
        assert "default-src 'none'" in policy
        assert PASSWORD not in policy
    with serving("--allow-actions", env=sides(pair)) as page:
        _, text = ask(page, "POST", "/login", f"token={TOKEN}")
        cookie = re.search(r"windlass_session=[\w-]+", text)
        assert cookie
        for headers in ({"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {}):
            status, text = ask(page, "POST", undo, "csrf=x", Cookie=cookie[0], **headers)
            assert (status, "not" in text) == (403, True)
    assert pair.target.value("select count(*) from windlass.act") == 0
