"""The page of runs within a real Airflow: under its login and its roles, in its navigation, for a
DAG run, behind links of tasks and in approvals."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from airflow_runs import until, wait
from airflow_server import VIEWER
from browsing import DESKTOP, chromium
from command import DONE, migrate
from demo.airflow import processes
from demo.airflow.client import USER
from demo.airflow.local import LocalAirflow, Record, revive
from servers import PASSWORD, Pair

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

DAG, RUN_ID = "migrate_shop", "manual__2026-11-30T06:00:00+00:00"


def person(airflow: LocalAirflow, name: str) -> httpx.Client:
    """A browser in which this person has logged in."""
    passwords = json.loads((airflow.folder / "passwords.json").read_text())
    words = {"username": name, "password": passwords[name]}
    url = airflow.client.url
    token = httpx.post(f"{url}/auth/token", json=words, trust_env=False).json()["access_token"]
    return httpx.Client(base_url=url, cookies={"_token": token}, trust_env=False, timeout=30)


def form_of(page: str) -> dict[str, str]:
    """The fields of the form on a page."""
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))


def run_of(pair: Pair, dag_id: str = DAG, run_id: str = RUN_ID) -> str:
    """A run that looks as if this DAG run had started it."""
    pair.source.run("create schema s", "create table s.orders as select 1 as id")
    run = str(migrate(pair, "--schema", "s").expect(DONE).result["run"])
    pair.target.run(f"update windlass.run set caller = 'airflow {dag_id} {run_id}'")
    return run


def connect_page(airflow: LocalAirflow, pair: Pair) -> str:
    """Make this pair the one that the page shows; returns the path of its runs."""
    for name, database in (("page_source", pair.source), ("page_target", pair.target)):
        airflow.client.set_connection(name, database.url)
    return f"/windlass/runs/{pair.target.name.replace('_', '-')}"


def test_the_page_is_within_airflow_under_its_login_and_its_roles(
    running: LocalAirflow, pair: Pair
) -> None:
    run, runs, client = run_of(pair), connect_page(running, pair), running.client
    (plugin,) = [
        one for one in client.api("GET", "/plugins")["plugins"] if one["name"] == "windlass"
    ]
    assert {one["destination"] for one in plugin["external_views"]} == {"nav", "dag_run"}
    nobody = httpx.get(f"{client.url}/windlass/")
    assert nobody.status_code == 401
    assert run not in nobody.text

    viewer, admin = person(running, VIEWER), person(running, USER)
    place = f"{runs}/{run}"
    until(lambda: place in viewer.get("/windlass/").text, "its target is read")
    led = viewer.get(f"/windlass/dag-run?dag={DAG}&run={quote(RUN_ID)}")
    assert (led.status_code, led.headers["location"]) == (303, place)
    shown, report = viewer.get(place), viewer.get(f"{place}/report")
    assert "s.orders" in shown.text
    assert "s.orders" in report.text
    assert PASSWORD not in viewer.get("/windlass/").text + shown.text + report.text
    assert ".runs" in viewer.get("/windlass/static/page.css").text

    do = f"{place}/do/rollback"
    assert do not in shown.text
    assert viewer.get(do).status_code == 403
    assert do in admin.get(place).text
    asked = admin.get(do)
    assert "windlass_rollback" in asked.text
    form = form_of(asked.text)
    assert viewer.post(do, data=form).status_code == 403  # somebody else's form
    assert admin.post(do, data={"csrf": "guessed"}).status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    assert admin.post(do, data=form, headers=foreign).status_code == 403
    done = admin.post(do, data=form)
    assert done.status_code == 303, done.text
    found = re.search(
        r"dag=(\w+)&dag_run=(\S+)", httpx.URL(done.headers["location"]).query.decode()
    )
    assert found
    triggered = httpx.QueryParams(found[0])
    assert "windlass_rollback" in admin.get(done.headers["location"]).text
    ended = wait(running, triggered["dag"], triggered["dag_run"]).expect("success")
    assert pair.target.value("select to_regclass('s.orders')") is None
    (act,) = pair.target.rows("select run, what, who, result from windlass.act")
    assert act == (run, "Roll back", USER, "done")

    path = f"/dags/{ended.dag_id}/dagRuns/{quote(ended.run_id)}/taskInstances/roll_back/links"
    links = client.api("GET", path)["extra_links"]
    led = admin.get(links["Windlass run"])
    assert (led.status_code, led.headers["location"]) == (303, place)


@pytest.fixture
def tab(running: LocalAirflow) -> Iterator[Page]:
    """A tab of a real browser, in which `admin` has logged in to Airflow."""
    with chromium() as browser:
        size: Any = DESKTOP
        found = browser.new_context(viewport=size).new_page()
        found.set_default_timeout(30_000)
        client = running.client
        found.goto(f"{client.url}/")
        found.fill("input[name=username]", USER)
        found.fill("input[name=password]", client.password)
        found.keyboard.press("Enter")
        found.wait_for_url(f"{client.url}/")
        yield found


def framed(tab: Page, url: str) -> FrameLocator:
    tab.goto(url)
    return tab.frame_locator("iframe")


def test_in_a_browser_the_page_is_in_the_frames_of_airflow_and_leads_out_of_them(
    running: LocalAirflow, pair: Pair, tab: Page
) -> None:
    run, client = run_of(pair), running.client
    connect_page(running, pair)
    inside = framed(tab, f"{client.url}/plugin/windlass")
    inside.get_by_role("link", name=run).click()
    inside.get_by_role("link", name="Verify again").click()
    assert "validate_migration_env" in inside.locator("pre").inner_text()
    inside.get_by_role("button", name="Verify again").click()
    inside.locator("#state", has_text="Success").wait_for(timeout=120_000)  # it is live
    inside.get_by_role("link", name="Show the DAG run").click()
    tab.wait_for_url(re.compile("/dags/validate_migration_env/runs/"))
    ((what, who, result),) = pair.target.rows("select what, who, result from windlass.act")
    assert (what, who) == ("Verify again", USER)
    assert result.startswith("DAG run manual__")

    dag, words = "windlass_rollback", {"target_conn_id": "page_target", "run": run}
    asking = client.trigger(dag, words)
    place = f"/dags/{dag}/dagRuns/{quote(asking)}/taskInstances/approve_rollback"
    until(lambda: client.api("GET", place)["state"] == "awaiting_input", "a person is asked")
    tab.goto(f"{client.url}/dags/{dag}/runs/{asking}/tasks/approve_rollback/required_actions")
    with tab.context.expect_page() as opened:
        tab.get_by_role("link", name="The run", exact=True).click()
    opened.value.get_by_role("heading", name="Migrate into").wait_for()
    assert run in opened.value.url
    inside = framed(tab, f"{client.url}/dags/{dag}/runs/{asking}/plugin/windlass-run")
    inside.get_by_role("link", name="Report").click()
    inside.get_by_text("s.orders").first.wait_for()


def test_streams_end_when_the_api_server_does(running: LocalAirflow, pair: Pair) -> None:
    connect_page(running, pair)
    record = Record.read(running.folder)
    assert record
    (server,) = processes.leaders(record.token, "api-server")
    with person(running, VIEWER).stream("GET", "/windlass/live") as stream:
        lines = stream.iter_lines()
        next(lines)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        for _ in lines:  # to a regular end: a server that is killed would break it
            pass
        assert time.monotonic() - began < 10
    server.wait(30)
    revive(running.folder, ["api-server"])
