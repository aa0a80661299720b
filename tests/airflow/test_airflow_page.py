"""The page of runs within a real Airflow: under its login, in its navigation, and for a DAG run."""

from __future__ import annotations

import httpx

from command import DONE, migrate
from demo.airflow.local import LocalAirflow
from servers import PASSWORD, Pair

DAG, RUN_ID = "migrate_shop", "manual__2026-11-30T06:00:00+00:00"


def test_the_page_is_within_airflow_under_its_login(running: LocalAirflow, pair: Pair) -> None:
    pair.source.run("create schema s", "create table s.orders as select 1 as id")
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run(f"update windlass.run set caller = 'airflow {DAG} {RUN_ID}'")
    client = running.client
    client.set_connection("page_target", pair.target.url)

    (plugin,) = [
        one for one in client.api("GET", "/plugins")["plugins"] if one["name"] == "windlass"
    ]
    assert {one["destination"] for one in plugin["external_views"]} == {"nav", "dag_run"}
    nobody = httpx.get(f"{client.url}/windlass/")
    assert nobody.status_code == 401
    assert run not in nobody.text

    status, listed = client.page("/windlass/")
    assert status == 200
    assert f"/windlass/runs/{pair.target.name.replace('_', '-')}/{run}" in listed
    status, place = client.page(f"/windlass/dag-run?dag={DAG}&run={RUN_ID.replace('+', '%2B')}")
    assert (status, place.endswith(run)) == (303, True)
    status, shown = client.page(place)
    assert status == 200
    assert "s.orders" in shown
    assert PASSWORD not in listed + shown
    status, report = client.page(f"{place}/report")
    assert (status, "s.orders" in report) == (200, True)
    _, style = client.page("/windlass/static/page.css")
    assert ".runs" in style
    assert client.page(f"{place}/do/rollback")[0] == 403  # its DAGs do that
