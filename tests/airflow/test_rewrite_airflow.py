"""The DAG `migrate_to_db`: as the scheduler reads it, and one run of it by a real Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor

import pytest

from airflow_runs import expect_no_secret, journal_text, run_dag
from demo.airflow.local import LocalAirflow
from reading_dags import Read, dag_file
from servers import QUOTED_PASSWORD, Database
from windlass.errors import BadSpec, WindlassError
from windlass.flows.rewrite.outline import REWRITE

DAG = "migrate_to_db"
TASKS = [step.task for step in REWRITE.steps]


@pytest.fixture(scope="module")
def read(process: Executor) -> tuple[Read, str, str]:
    """The DAG, serialized; what a faulty one says; and what a worker says without the variable."""
    found = Read.of(process.submit(dag_file, DAG).result())
    return found, process.submit(faults).result(), process.submit(no_variable).result()


def faults() -> str:
    from windlass.airflow import rewrite_dag

    try:
        rewrite_dag("wrong", spec={"table": "message", "key": 1, "connection": "postgresql://"})
    except BadSpec as error:
        first = str(error)
    try:
        rewrite_dag("wrong", spec={"tabel": "message"})
    except BadSpec as error:
        return f"{first}; {error}"
    raise AssertionError("a spec without a table is no DAG")


def no_variable() -> str:
    from windlass.airflow.connections import address_of

    try:
        return address_of("variable:DB_CONN_STRING")
    except WindlassError as error:
        return str(error)


def test_a_variable_that_is_missing_is_named(read: tuple[Read, str, str]) -> None:
    assert read[2] == "there is no Airflow variable 'DB_CONN_STRING'"


def test_it_has_the_tasks_of_the_original_in_a_row(read: tuple[Read, str, str]) -> None:
    dag, *_ = read
    assert list(dag.tasks) == TASKS
    assert (TASKS[0], TASKS[-1]) == ("reading_from_database", "updating_exported_at")
    assert [dag.next(task) for task in TASKS] == [*({step} for step in TASKS[1:]), set()]
    assert dag.mapped == set()


def test_it_runs_every_five_minutes_once_at_a_time_after_somebody_has_looked(
    read: tuple[Read, str, str],
) -> None:
    words = read[0].words
    assert words["timetable"]["__var"]["expression"] == "*/5 * * * *"
    assert words["max_active_runs"] == 1
    assert words["dagrun_timeout"] == 3600
    assert words["is_paused_upon_creation"]
    assert not words["catchup"]


def test_a_faulty_spec_is_an_import_error_that_says_all(read: tuple[Read, str, str]) -> None:
    said = read[1]
    assert "connection: give the id of a connection instead" in said
    assert "unknown key 'tabel'; did you mean 'table'?" in said


def test_a_run_rewrites_what_waits_and_shows_neither_rows_nor_the_password(
    running: LocalAirflow, database: Callable[[int], Database]
) -> None:
    messages = database(16)
    messages.run(
        "create table messages (message_id uuid primary key default gen_random_uuid(), base text,"
        " body text, exported_at timestamp not null default '9999-12-31')",
        "insert into messages (base, body) select 'base', 'row value ' || n"
        " from generate_series(1, 1000) n",
    )
    url = messages.url.replace("postgresql://", "postgresql+psycopg2://")
    assert QUOTED_PASSWORD in url
    running.client.set_variable("DB_CONN_STRING", url)
    ended = run_dag(running, DAG, {}).expect("success")
    # it is scheduled every five minutes
    running.client.api("PATCH", f"/dags/{DAG}", {"is_paused": True})
    query = "select count(*) from messages where product_id = 'ABCD' and exported_at < '9999-12-31'"
    assert messages.value(query) == 1000
    assert messages.value("select count(*) from backup.messages") == 1000
    expect_no_secret(ended.said())
    expect_no_secret(journal_text(messages))
    assert "row value" not in "".join(json.dumps(ended.xcom(step)) for step in TASKS)
