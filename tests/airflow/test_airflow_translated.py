"""A database of another engine is migrated by a real Airflow, from a connection of its kind."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from airflow_runs import expect_no_secret, journal_text, run_dag
from demo.airflow.local import LocalAirflow
from mariadb_server import MariaServer
from servers import Database
from translating import CUSTOMERS, mariadb_shop
from windlass.engines.mysql.address import read_address


@pytest.mark.full
def test_a_mysql_connection_is_migrated_in_one_task_and_refused_by_several(
    running: LocalAirflow,
    mariadb: MariaServer,
    maria_database: Callable[..., str],
    database: Callable[[int], Database],
) -> None:
    source, target = mariadb_shop(mariadb, maria_database(), items=500), database(16)
    at = read_address(source.url)
    words = {
        "conn_type": "mysql",
        "host": at.host,
        "port": at.port,
        "login": at.user,
        "password": at.password.decode(),
        "schema": at.database,
        "extra": json.dumps({"charset": "utf8mb4"}),
    }
    running.client.set_connection("old_maria", json.dumps(words))
    running.client.set_connection("new_shop", target.url.replace("postgresql://", "postgres://"))
    sides = {"source_conn_id": "old_maria", "target_conn_id": "new_shop"}
    ended = run_dag(running, "translated", sides).expect("success")
    assert ended.states().keys() == {"plan_migration", "approve_migration", "migrate_in_one_task"}
    found = ended.xcom("migrate_in_one_task")["return_value"]
    assert (found["state"], found["verified"]) == ("done", "full")
    customers = f"select count(*) from {at.database}.customers"
    assert target.value(customers) == CUSTOMERS
    several = run_dag(running, "migrate", sides)
    assert "translation_dag" in several.problems("extract_source_schema")
    assert target.value("select count(*) from windlass.run") == 1
    for one in (ended, several):
        expect_no_secret(one.said())
    expect_no_secret(journal_text(target))
