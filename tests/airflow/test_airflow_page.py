"""The page of runs within a real Airflow: under its login and its roles, in its navigation, for a
DAG run, behind links of tasks and in approvals."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from airflow_following import Following, phase
from airflow_runs import until, wait
from airflow_server import VIEWER
from browsing import DESKTOP, chromium
from command import DONE, migrate
from demo.airflow import processes
from demo.airflow.client import USER
from demo.airflow.local import LocalAirflow, Record, revive
from servers import PASSWORD, Database, Pair
from windlass.demo.ledger import make_ledger
from windlass.web.watched import title_of

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
    """Make this pair the one that the page shows, as it does soon; returns the path of its runs."""
    for name, database in (("page_source", pair.source), ("page_target", pair.target)):
        airflow.client.set_connection(name, database.url)
    title = title_of(pair.target.url)
    until(lambda: title in airflow.client.page("/windlass/")[1], "its target is shown")
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


def trigger_repair(page: httpx.Client, place: str) -> httpx.QueryParams:
    """Confirm a repair on a run's page; returns what the page that follows shows."""
    do = f"{place}/do/repair"
    until(lambda: do in page.get(place).text, "a repair is offered")
    asked = page.get(do)
    assert "windlass_repair" in asked.text
    done = page.post(do, data=form_of(asked.text))
    assert done.status_code == 303, done.text
    return httpx.URL(done.headers["location"]).params


def test_differences_are_repaired_from_the_page(running: LocalAirflow, pair: Pair) -> None:
    run = run_of(pair)
    place, admin = f"{connect_page(running, pair)}/{run}", person(running, USER)
    pair.target.run("update s.orders set id = 7")
    found = trigger_repair(admin, place)
    ended = wait(running, found["dag"], found["dag_run"]).expect("success")
    assert pair.target.rows("select id from s.orders") == [(1,)]
    result = ended.xcom("repair")
    (act,) = pair.target.rows("select run, what, who, result from windlass.act")
    assert act == (run, "Repair differences", USER, "done")
    repair = str(result["run"])
    assert repair != run
    shown = admin.get(f"{place.rpartition('/')[0]}/{repair}").text
    assert f"{repair}/do/rollback" in shown


def test_a_run_that_follows_is_cut_over_and_back_from_the_page(
    running: LocalAirflow, logical: Callable[[int], Database], tmp_path: Path
) -> None:
    pair = Pair(logical(16), logical(18))
    make_ledger(pair.source.url)
    runs = connect_page(running, pair)
    viewer, admin = person(running, VIEWER), person(running, USER)
    conf = {f"{side}_conn_id": f"page_{side}" for side in ("source", "target")}
    words = {**conf, "lead_to": str(tmp_path / "port")}
    following = Following(running, pair, running.client.trigger("follow", words))
    following.until_asked("await_cutover")
    run = str(pair.target.value("select run from windlass.following"))
    place = f"{runs}/{run}"

    def do(name: str) -> None:
        """Confirm an action on the run's page."""
        path = f"{place}/do/{name}"
        until(lambda: path in admin.get(place).text, f"{name} is offered")
        asked = admin.get(path)
        assert "/api/v2/dags/follow/" in asked.text  # the request to Airflow
        done = admin.post(path, data=form_of(asked.text))
        assert (done.status_code, done.headers["location"]) == (303, place), done.text

    question = f"/dags/follow/runs/{following.run_id}/tasks/await_cutover/required_actions"
    until(lambda: question in viewer.get(place).text, "the question is linked")
    shown = viewer.get(place).text
    assert "/do/" not in shown
    for name in ("rehearse", "cutover", "abandon"):
        assert viewer.get(f"{place}/do/{name}").status_code == 403
    csrf = form_of(admin.get(f"{place}/do/cutover").text)
    assert viewer.post(f"{place}/do/cutover", data=csrf).status_code == 403
    assert admin.get(f"{place}/do/back").status_code == 409  # it is not asked
    assert "max_freeze in the spec of follow" in admin.get(f"{place}/do/cutover").text

    do("rehearse")
    following.until_asked("await_cutover", 2)
    do("cutover")
    twice = admin.post(f"{place}/do/cutover", data=csrf)
    assert twice.status_code == 409, twice.text
    following.until_asked("await_settle")
    assert phase(pair) == "switched"
    do("back")
    following.until_state("flip_back", "success")
    following.until_state("reopen_target", "success")  # a task that runs is not cleared
    assert phase(pair) == "following"
    until(lambda: "which has no open question now" in viewer.get(place).text, "nothing is asked")
    do("rehearse")
    following.until_asked("await_cutover", 4)
    do("abandon")
    ended = wait(running, "follow", following.run_id).expect("success")
    assert ended.states()["abandon"] == {"success"}
    acts = pair.target.rows("select run, what, who, result from windlass.act order by at")
    again = f"DAG run {following.run_id} rehearses again"
    assert {one[:3] for one in acts} == {(run, what, USER) for _, what, *_ in acts}
    done = [(what, result) for _, what, _, result in acts]
    assert [one for one in done if one[0] != "Rehearse the cutover"] == [
        ("Cut over", "done"), ("Flip back", "done"), ("Abandon", "done")
    ]  # fmt: skip
    assert done[0] == ("Rehearse the cutover", again)


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
    opened.value.get_by_role("heading", name="Migration into").wait_for()
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
