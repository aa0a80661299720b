"""Parts of the page within Airflow that need no Airflow that runs: its setting, which files it
reads, what a form can hold, and links of tasks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from command import DONE, migrate
from servers import Pair
from windlass.web.watched import title_of


@contextmanager
def options(**given: str) -> Iterator[None]:
    """Options of Airflow as ``section__key``, for its processes and for its tasks: other tests use
    this process as well."""
    from airflow.configuration import conf
    from airflow.sdk.configuration import conf as of_tasks

    kept = []
    for name, value in given.items():
        section, _, key = name.partition("__")
        for one in (conf, of_tasks):
            kept.append((one, section, key, one.get(section, key, fallback=None)))
            if not one.has_section(section):
                one.add_section(section)
            one.set(section, key, value)
    yield
    for one, section, key, before in kept:
        if before is None:
            one.remove_option(section, key)
        else:
            one.set(section, key, before)


def sides(text: str) -> Any:
    from windlass.airflow.page_dags import sides_in
    from windlass.errors import BadSpec

    try:
        return [(one.source, one.target) for one in sides_in(text)]
    except BadSpec as error:
        return str(error)


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("", []),
        ("shop", [("", "shop")]),
        (" old>new , shop,", [("old", "new"), ("", "shop")]),
        ("a > b > c", "[windlass] page_connections: a > b > c: neither TARGET nor SOURCE > TARGET"),
        ("a >", "[windlass] page_connections: a >: neither TARGET nor SOURCE > TARGET"),
        ("> a", "[windlass] page_connections: > a: neither TARGET nor SOURCE > TARGET"),
    ],
)
def test_the_setting_names_targets_with_or_without_a_source(
    process: Executor, setting: str, found: Any
) -> None:
    assert process.submit(sides, setting).result() == found


def reports(logs: str, folder: str, places: list[str]) -> list[bool]:
    """Whether the report of `daily`'s run `r1` is read from these places."""
    from windlass.airflow.page_files import report_at

    with options(logging__base_log_folder=logs, windlass__report_folder=folder):
        return [bool(report_at(place, "daily", "r1")[0]) for place in places]


def test_only_reports_that_the_dag_run_may_have_written_are_read(
    process: Executor, tmp_path: Path
) -> None:
    logs, folder = tmp_path / "logs", tmp_path / "reports"
    its, other = (logs / f"dag_id={dag}" / "run_id=r1" / "task_id=t" for dag in ("daily", "other"))
    read = [its / "report.html", folder / "daily_r1.html", folder / "daily_r1_group.html"]
    not_read = [
        *(other / "report.html", its / "attempt=1.log", folder / "other_r1.html"),
        *(tmp_path / "daily_r1.html", folder / ".." / "daily_r1.html"),
    ]
    for file in (*read, *not_read):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a page")
    link = folder / "daily_r1_link.html"
    link.symlink_to(tmp_path / "daily_r1.html")
    as_json = str(folder / "daily_r1.json")  # what is pushed with a folder of reports
    places = [*map(str, read), as_json, *map(str, not_read), str(link), "s3://bucket/daily_r1.html"]
    found = process.submit(reports, str(logs), str(folder), places).result()
    assert found == [*[True] * 4, *[False] * 7]


def confs(options: dict[str, Any]) -> Any:
    from windlass.airflow.page_dags import Sides, _repair
    from windlass.errors import Refused
    from windlass.model.outcome import RunDetail, RunStatus, State

    status = RunStatus("r1", State.DIFFERENT, "shop on old", "", "")
    try:
        return _repair(Sides("new", "old"), RunDetail(status, options=options), False)
    except Refused as error:
        return error.problems[0].message


def test_a_repair_compares_what_the_run_has_copied_or_is_refused(process: Executor) -> None:
    copied = {"schema": ["shop", "crm"], "map-schema": {"shop": "s"}, "exclude": ["*.log"]}
    conf = process.submit(confs, {**copied, "jobs": 4, "existing": "replace"}).result()
    assert conf == {
        "source_conn_id": "old",
        "target_conn_id": "new",
        "source_schema": "shop, crm",
        "target_schema": "s, crm",
        "exclude_tables": ["*.log"],
        "include_tables": [],
        "run": "r1",
        "yes": True,
    }
    for options in (
        {"map-schema": {"shop": "s"}},
        {"schema": ["a,b"]},
        {"schema": ["shop"], "verify": "none"},
        {"schema": ["shop"], "mapping": {"shop.item": {"where": "id > 1"}}},
    ):
        assert "has no field" in process.submit(confs, options).result(), options


def links(module: str, connections: str, base_url: str) -> list[str]:
    from windlass.airflow.page_links import RunLink, RunReportLink

    task: Any = SimpleNamespace(_task_module=module)
    key: Any = SimpleNamespace(dag_id="daily", run_id="manual__2026-11-30T06:00:00+00:00",
                               task_id="move.copy")  # fmt: skip
    with options(api__base_url=base_url, windlass__page_connections=connections):
        return [one.get_link(task, ti_key=key) for one in (RunLink(), RunReportLink())]


def frames(base_url: str) -> list[str]:
    from windlass.airflow.plugin import WindlassPlugin

    with options(api__base_url=base_url):
        WindlassPlugin.on_load()
    return [one["href"] for one in WindlassPlugin.external_views]


def test_frames_have_the_path_of_airflows_address(process: Executor) -> None:
    dag_run = "/windlass/dag-run?dag={DAG_ID}&run={RUN_ID}"
    found = process.submit(frames, "https://airflow.example.com/flow/").result()
    assert found == ["/flow/windlass/", f"/flow{dag_run}"]
    assert process.submit(frames, "").result() == ["/windlass/", dag_run]


def test_our_tasks_link_the_run_and_its_report(process: Executor) -> None:
    asked = "?dag=daily&run=manual__2026-11-30T06%3A00%3A00%2B00%3A00&task=move.copy"
    ours, base = "windlass.airflow.operators", "https://airflow.example.com/flow"
    run, report = f"/flow/windlass/dag-run{asked}", f"/flow/windlass/dag-run/report{asked}"
    assert process.submit(links, ours, "shop", base).result() == [run, report]
    assert process.submit(links, ours, "", base).result() == ["", report]
    assert process.submit(links, "airflow.operators.bash", "shop", base).result() == ["", ""]


def plans() -> Iterator[Any]:
    from windlass.airflow.plan_documents import packed, unpacked

    document = {"fingerprint": "f", "ddl": ["create table ü"] * 10_000}
    yield len(packed(document)) < 2000
    yield unpacked(packed(document)) == document
    for value in (None, {"a": 1}, "no base 85 \\", "abc", packed(document)[:50]):
        yield unpacked(value)


def all_plans() -> list[Any]:
    return list(plans())


def test_a_plan_in_an_xcom_is_small_and_what_is_none_is_not_shown(process: Executor) -> None:
    assert process.submit(all_plans).result() == [True, True, *[None] * 5]


def asked(plan: str | None, connections: str) -> tuple[list[str], str]:
    """The tasks that make the plans which `windlass_follow` asks about, and what it shows."""
    from windlass.airflow import follow_dag
    from windlass.airflow.gates import _with_pages

    dag: Any = follow_dag()
    tasks = [dag.get_task(f"await_{what}").plan_task for what in ("cutover", "settle")]
    ti = SimpleNamespace(dag_id="windlass_follow", run_id="r1", xcom_pull=lambda **_: plan)
    context: Any = {"ti": ti}
    with options(api__base_url="https://flow.example", windlass__page_connections=connections):
        return tasks, _with_pages(context, "the rehearsal", tasks[0], has_run=True)


def test_the_question_about_a_cutover_links_the_plan_and_the_run(process: Executor) -> None:
    at = "https://flow.example/windlass/dag-run"
    plan = f"[The plan as a page]({at}/plan?dag=windlass_follow&run=r1&task=plan)"
    run = f"[The run]({at}?dag=windlass_follow&run=r1)"
    tasks, shown = process.submit(asked, "packed", "shop").result()
    assert tasks == ["plan", "plan"]
    assert shown == f"{plan}, to read, to print and to sign · {run}\n\nthe rehearsal"
    _, shown = process.submit(asked, None, "").result()
    assert shown == "the rehearsal"


STREAM = """
import asyncio, sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.responses import StreamingResponse
from starlette.routing import Route
from windlass.airflow.page_ending import note_end, server_here

stopping, kept = asyncio.Event(), []

async def stream(request):
    kept.append(asyncio.create_task(note_end(server_here(), stopping)))
    async def lines():
        yield b"open\\n"
        await stopping.wait()
        yield b"over\\n"
    return StreamingResponse(lines())

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

app = Starlette(routes=[Route("/", stream)])
Server(uvicorn.Config(app, port=0, log_level="error")).run()
"""


def test_streams_end_with_the_server_they_are_in() -> None:
    """Without a time limit for its end, as uvicorn would wait for them forever."""
    server = subprocess.Popen([sys.executable, "-c", STREAM], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = int(server.stdout.readline())
        with httpx.stream("GET", f"http://127.0.0.1:{port}/", trust_env=False) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "open"
            server.terminate()
            assert list(lines) == ["over"]
        server.wait(30)
    finally:
        server.kill()
        server.wait()


def statuses(url: str, paths: list[str], dags: list[str] | None) -> list[int]:
    """The answers to somebody who may see the runs of these DAGs; None: of all."""
    import windlass.airflow.page as page
    from windlass.airflow import page_rights
    from windlass.airflow.page_links import OUTER

    class Manager:
        def is_authorized_dag(self, *, method: str, details: Any, **_: Any) -> bool:
            return method == "GET" and (dags is None or bool(details and details.id in dags))

    async def somebody(token: Any) -> Any:
        return SimpleNamespace(get_name=lambda: "ada")

    async def all_answers() -> list[int]:
        app = page.make_page(page.read_shown())

        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, OUTER: Starlette()}, receive, send)

        transport = httpx.ASGITransport(mounted)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return [(await client.get(path)).status_code for path in paths]

    with options(windlass__page_connections="page_target"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_PAGE_TARGET", url)
        patch.setattr(page_rights, "get_auth_manager", Manager)
        patch.setattr(page, "resolve_user_from_token", somebody)
        return asyncio.run(all_answers())


def late_answers(paths: list[str], urls: list[str]) -> list[tuple[int, str]]:
    """Status and page of each path, while the connection of its target has each of these addresses;
    an empty one is none."""
    import windlass.airflow.page as page
    from windlass.airflow import page_rights, plugin

    class Manager:
        def is_authorized_dag(self, **_: Any) -> bool:
            return True

    async def somebody(token: Any) -> Any:
        return SimpleNamespace(get_name=lambda: "ada")

    async def all_answers() -> list[tuple[int, str]]:
        outer = Starlette(routes=[Mount("/windlass", plugin._Late())])
        transport = httpx.ASGITransport(outer)
        found = []
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            for url in urls:
                patch.setenv("AIRFLOW_CONN_MOVING", url) if url else patch.delenv(
                    "AIRFLOW_CONN_MOVING", raising=False
                )
                for path in paths:
                    answer = await client.get(f"/windlass{path}")
                    found.append((answer.status_code, answer.text))
        return found

    with (
        options(windlass__page_connections="moving"),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(plugin, "AGAIN_SECONDS", 0.0)
        patch.setattr(page_rights, "get_auth_manager", Manager)
        patch.setattr(page, "resolve_user_from_token", somebody)
        return asyncio.run(all_answers())


def test_a_connection_that_is_missing_hides_no_plan_and_no_report(process: Executor) -> None:
    asked = "?dag=daily&run=r1"
    paths = ["/", f"/dag-run{asked}", f"/dag-run/plan{asked}", f"/dag-run/report{asked}"]
    found = process.submit(late_answers, paths, [""]).result()
    assert [code for code, _ in found] == [
        503,
        503,
        404,
        404,
    ]  # Airflow, which is not there, knows none


def unreadable() -> tuple[int, str]:
    """The answer while a secrets backend fails."""
    import windlass.airflow.page as page
    from windlass.errors import WindlassError

    def fail(_: str) -> str:
        raise OSError("vault: token s3cret is refused")

    with options(windlass__page_connections="moving"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "address_of", fail)
        try:
            page.read_shown()
        except WindlassError as error:
            answer = page.unmade(error)
            return answer.status_code, bytes(answer.body).decode()
    return 0, ""


def test_a_connection_that_airflow_cannot_read_is_a_sentence(process: Executor) -> None:
    code, text = process.submit(unreadable).result()
    assert code == 503
    assert "connection 'moving' cannot be read: Airflow reports OSError" in text
    assert "s3cret" not in text


def test_a_connection_that_changes_is_used_without_a_restart(process: Executor, pair: Pair) -> None:
    urls = [pair.source.url, pair.target.url, "", pair.source.url]
    codes, pages = zip(*process.submit(late_answers, ["/"], urls).result(), strict=True)
    assert codes == (200, 200, 503, 200)
    names = [title_of(one.url) for one in (pair.source, pair.target)]
    shown = [[name in page for name in names] for page in pages]
    assert shown == [[True, False], [False, True], [False, False], [True, False]]


def test_who_may_see_one_dag_sees_what_it_has_started_and_nothing_else(
    process: Executor, pair: Pair
) -> None:
    pair.source.run("create table sale as select 1 as n")
    run = str(migrate(pair).expect(DONE).result["run"])
    pair.target.run("update windlass.run set caller = 'airflow daily r1 move'")
    place = f"/runs/{pair.target.name.replace('_', '-')}/{run}"
    asked = "/dag-run?dag=daily&run=r1"
    paths = ["/", place, f"{place}/report", asked, f"{place}/do/rollback", "/metrics"]
    seen = {
        "all": process.submit(statuses, pair.target.url, paths, None).result(),
        "its own": process.submit(statuses, pair.target.url, paths, ["daily"]).result(),
        "another": process.submit(statuses, pair.target.url, paths, ["weekly"]).result(),
    }
    assert seen == {
        "all": [200, 200, 200, 303, 403, 200],  # actions are off by default
        "its own": [403, 200, 200, 303, 403, 403],
        "another": [403] * 6,
    }
