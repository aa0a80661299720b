"""The DAG `quarterly_data_update`: as the scheduler reads it, and runs of it by a real Airflow,
with a Django project in its own virtual environment."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path

import psutil
import psycopg
import pytest

from airflow_runs import expect_no_secret, run_dag, until, wait
from demo.airflow.local import LocalAirflow
from needs import needs_module
from post import Post
from project_venv import make_project
from reading_dags import Read, dag_file
from servers import Database
from web_server import serving, with_ranges
from windlass.errors import BadSpec

TASKS = ["setup_django_env", "apply_migrations", "download", "check_create", "update"]
FILE = """
from quick import QUICK, TOLD
from windlass.airflow.presets.data_update import quarterly_data_update
from windlass.airflow.project import Project

dag = quarterly_data_update(
    Project({folder!r}, "project.settings"), dag_id="update_shop", schedule=None, tuning=QUICK,
    ending=TOLD,
)
"""
COUNTRIES = b"code,name\nde,Germany\nfr,France\n"
CUSTOMERS = "email,name,country.code\na@example.com,Ann,de\nb@example.com,Bob,fr\n"


def test_it_has_the_tasks_of_the_original_in_a_row_four_times_a_year(process: Executor) -> None:
    dag = Read.of(process.submit(dag_file, "quarterly_data_update").result())
    assert list(dag.tasks) == TASKS
    assert all(later in dag.next(task) for task, later in pairwise(TASKS))
    assert dag.next("update") == set()
    assert dag.words["timetable"]["__var"]["expression"] == "0 0 1 1,4,7,10 *"
    assert dag.words["has_on_failure_callback"] and dag.words["is_paused_upon_creation"]
    assert dag.words["max_active_runs"] == 1 and not dag.words["catchup"]
    assert {task: dag.tasks[task].get("map_index_template") for task in TASKS[2:]} == dict.fromkeys(
        TASKS[2:], "{{ task.step }}_{{ task.item['name'] }}"
    )
    assert dag.tasks["update"]["max_active_tis_per_dagrun"] == 1


def faults() -> list[str]:
    """What a worker says of Variables."""
    from windlass.airflow.updating import read_updates
    from windlass.errors import WindlassError

    secret = json.dumps([{"url": "https://me:hush@example.com/x.csv", "table": "t"}])
    found: list[str] = []
    for name, value in {"SECRET": secret, "TEXT": "hush", "MAP": "{}"}.items():
        os.environ[f"AIRFLOW_VAR_{name}"] = value
    for name in ("SECRET", "TEXT", "MAP", "NONE"):
        try:
            read_updates(name)
        except BadSpec as error:
            found += error.faults
        except WindlassError as error:
            found.append(str(error))
    return found


def test_a_variable_that_is_no_list_of_updates_is_named_without_what_it_holds(
    process: Executor,
) -> None:
    secret, text, mapping, missing = process.submit(faults).result()
    assert secret == "SECRET: updates.0: url holds a password or token"
    assert text.startswith("TEXT: is not JSON") and "hush" not in text + secret
    assert mapping == "MAP: is not a list"
    assert missing == "there is no Airflow variable 'NONE'"


@pytest.fixture
def shop(running: LocalAirflow, database: Callable[[int], Database], tmp_path: Path) -> Database:
    """An empty database of a project, and its DAG in the running Airflow."""
    needs_module("django")
    folder = make_project(tmp_path)
    made = database(16)
    uri = made.url.replace("postgresql://", "postgres://")
    running.client.set_connection("postgres_db", uri)
    (running.dags / "update_shop.py").write_text(FILE.format(folder=str(folder)))
    return made


@pytest.mark.full
def test_a_project_is_updated_once_though_it_is_killed_and_a_changed_variable_needs_no_new_file(
    running: LocalAirflow, shop: Database, tmp_path: Path
) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text(CUSTOMERS)
    with serving(with_ranges(COUNTRIES)) as web:
        country = {"url": f"{web.url}/countries.csv", "table": "shop_country"}
        customer = {"url": customers.as_uri(), "table": "shop.Customer", "key": ["email"]}
        running.client.set_variable("DATA_UPDATE_URLS", json.dumps([country]))
        run_id = running.client.trigger("update_shop")
        until(lambda: shop.value("select to_regclass('shop_country')"), "the table is made",
              seconds=300)  # fmt: skip
        with psycopg.connect(shop.url) as other:
            other.execute("lock table shop_country in share mode")
            until(lambda: shop.value("select count(*) from pg_locks where not granted"),
                  "the load waits for the table", seconds=300)  # fmt: skip
            task, child = at_work(tmp_path)
            os.kill(task.pid, signal.SIGKILL)
            psutil.wait_procs([child], timeout=60)
            assert not child.is_running()
        first = wait(running, "update_shop", run_id, timeout=600).expect("success")
        assert first.names("download") == ["download_shop_country"]
        assert first.names("update") == ["update_shop_country"]
        assert shop.rows("select code from shop_country order by 1") == [("de",), ("fr",)]
        running.client.set_variable("DATA_UPDATE_URLS", json.dumps([customer, country]))
        second = run_dag(running, "update_shop", {}, timeout=600).expect("success")
    assert sorted(second.names("update")) == ["update_shop.Customer", "update_shop_country"]
    joined = "shop_customer c join shop_country o on o.id = c.country_id order by 1"
    assert shop.rows(f"select email, code from {joined}") == [
        ("a@example.com", "de"), ("b@example.com", "fr"),
    ]  # fmt: skip
    (unchanged,) = second.xcom("update", 0)["return_value"]["tables"]
    (loaded,) = second.xcom("update", 1)["return_value"]["tables"]
    assert unchanged["unchanged"] and loaded["counts"]["inserted"] == 2
    refreshes = shop.rows("select distinct split_part(caller, ' ', 2) from windlass.run")
    assert {one[0] for one in refreshes} == {f"update_shop/{it.run_id}" for it in (first, second)}
    expect_no_secret(second.said())


@pytest.mark.full
def test_a_failed_update_sends_one_mail_that_says_what_failed_and_where_to_look(
    running: LocalAirflow, shop: Database, tmp_path: Path, post: Post
) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text("email,name,country.code\na@example.com,Ann,xx\n")
    update = {"url": customers.as_uri(), "table": "shop.Customer", "key": ["email"]}
    running.client.set_variable("DATA_UPDATE_URLS", json.dumps([update]))
    ended = run_dag(running, "update_shop", {}, timeout=600).expect("failed")
    mail, _ = post.about(ended.run_id)
    subject, _, body = mail.partition("\n")
    assert subject == "update_shop: failed"
    assert "line 2, column country.code: no shop.Country has it" in body
    assert f"/dags/update_shop/runs/{ended.run_id}" in body
    assert len([one for one in post.mails if "update_shop" in one]) == 1
    assert shop.value("select count(*) from shop_customer") == 0
    expect_no_secret(iter([("mail", mail)]))


def at_work(folder: Path) -> tuple[psutil.Process, psutil.Process]:
    """The task, and the project's process that it has started."""
    for one in psutil.process_iter(["cmdline", "cwd"]):
        words = one.info["cmdline"] or []
        if "windlass.django" in words and str(one.info["cwd"]).startswith(str(folder)):
            parent = one.parent()
            assert parent is not None
            return parent, one
    raise AssertionError("no process of the project's is at work")
