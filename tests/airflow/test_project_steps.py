"""The steps of a Django project in its own virtual environment, as the DAG `quarterly_data_update`
asks for them, without an Airflow."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from airflow_runs import until
from django_project import postgres
from needs import needs_module
from project_venv import lacks, make_project
from servers import PASSWORD, Database
from windlass.airflow.project import Project, Stopped, url_of
from windlass.errors import BadSpec, Refused, WindlassError

Update = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_module("django")
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(folder: Path) -> Project:
    return Project(str(folder), "project.settings")


class Updating:
    """The steps of one DAG run, by hand."""

    def __init__(self, project: Project, database: Database, folder: Path) -> None:
        self.project, self.database, self.folder = project, database, folder

    def file(self, name: str, *lines: str) -> str:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path.as_uri()

    def ask(self, step: str, *updates: Update, run: str = "quarterly/first", **more: Any) -> Any:
        words = {"step": step, "updates": list(updates), "folder": str(self.folder / "fetched")}
        return self.project.ask({**words, "refresh": run, **more}, self.database.url)

    def undo(self) -> None:
        """As a person does in the project."""
        command = [self.project.interpreter, "manage.py", "windlass_refresh", "--undo"]
        databases = json.dumps({"default": postgres(self.database)})
        env = {**self.project.variables(""), "PROJECT_DATABASES": databases}
        folder = self.project.folder
        ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def countries(self) -> list[Any]:
        return [tuple(row) for row in
                self.database.rows("select code, name from shop_country order by 1")]  # fmt: skip


@pytest.fixture
def updating(project: Project, database: Callable[[int], Database], tmp_path: Path) -> Updating:
    return Updating(project, database(16), tmp_path)


@pytest.fixture
def countries(updating: Updating) -> Update:
    lines = ("code,name", "de,Germany", "fr,France")
    return {"url": updating.file("countries.csv", *lines), "table": "shop_country"}


def test_the_steps_make_the_tables_and_load_them_and_all_of_it_can_be_undone(
    updating: Updating, countries: Update, caplog: pytest.LogCaptureFixture
) -> None:
    assert lacks(Path(updating.project.folder), "airflow")
    caplog.set_level(logging.INFO)
    found = updating.ask("setup_django_env", countries)
    assert found["versions"]["django"] and found["items"] == [
        {"name": "shop_country", "updates": [0], "after": []}
    ]
    made = updating.ask("check_create", countries)
    assert made["created"] == ["shop_country"] and "shop.0001_initial" in made["migrations"]
    assert updating.ask("apply_migrations", countries)["migrations"] == []
    assert updating.ask("check_create", countries)["created"] == []
    (file,) = updating.ask("download", countries)["files"]
    assert file["fields"] == ["code", "name"] and file["size_bytes"] == 31
    (loaded,) = updating.ask("update", countries)["tables"]
    assert loaded["counts"]["inserted"] == 2 and loaded["asset"]["table"] == "shop_country"
    assert updating.countries() == [("de", "Germany"), ("fr", "France")]
    (again,) = updating.ask("update", countries, run="quarterly/second")["tables"]
    assert again["unchanged"] and again["run"] == loaded["run"]
    assert PASSWORD not in caplog.text
    updating.undo()
    assert updating.countries() == []


def test_every_fault_of_every_update_is_found_before_anything_is_written(
    updating: Updating,
) -> None:
    with pytest.raises(BadSpec) as caught:
        updating.ask("setup_django_env", {"table": "shop.Country"}, {"url": "x.csv", "load": "?"})
    assert len(caught.value.faults) == 3
    with pytest.raises(Refused) as refused:
        updating.ask("setup_django_env", {"url": "x.csv", "table": "shop.Contry"},
                     {"url": "y.csv", "table": "nothing"})  # fmt: skip
    assert "did you mean shop.Country?" in refused.value.problems[0].hint
    assert len(refused.value.problems) == 2


def test_updates_are_put_in_the_order_of_foreign_keys_and_cycles_stay_together(
    updating: Updating,
) -> None:
    names = ("Customer", "Employee", "Country", "Department", "Stock", "Product", "Place")
    updates = [{"url": f"{name}.csv", "table": f"shop.{name}"} for name in names]
    items = updating.ask("setup_django_env", *updates)["items"]
    found = {one["name"]: [items[at]["name"] for at in one["after"]] for one in items}
    assert found == {
        "shop.Country": [],
        "shop.Employee_shop.Department": [],
        "shop.Product": [],
        "shop.Place": [],
        "shop.Customer": ["shop.Country"],
        "shop.Stock": ["shop.Product", "shop.Place"],
    }


def test_rows_that_are_wrong_are_refused_with_their_place_and_nothing_is_loaded(
    updating: Updating, countries: Update
) -> None:
    updating.ask("apply_migrations", countries)
    updating.file("countries.csv", "code,name", "de,Germany", "fra,France")
    with pytest.raises(Refused) as caught:
        updating.ask("update", countries)
    assert "line 3" in caught.value.problems[0].text
    assert updating.countries() == []


ASKED = """
import json, sys
from windlass.airflow.project import Project
project, request, url = json.load(sys.stdin)
Project(**project).ask(request, url)
"""


def started(*words: Any) -> subprocess.Popen[str]:
    """A process that asks, as a task does."""
    task = subprocess.Popen([sys.executable, "-c", ASKED], stdin=subprocess.PIPE, text=True,
                            stderr=subprocess.DEVNULL)  # fmt: skip
    assert task.stdin is not None
    task.stdin.write(json.dumps(words))
    task.stdin.close()
    return task


@pytest.mark.parametrize("killed", ["the task", "the project's process"])
def test_a_kill_in_the_middle_leaves_nothing_running_and_the_next_try_loads_once(
    updating: Updating, countries: Update, killed: str
) -> None:
    updating.ask("apply_migrations", countries)
    request = {"step": "update", "updates": [countries], "folder": str(updating.folder / "f"),
               "refresh": "quarterly/first"}  # fmt: skip
    with psycopg.connect(updating.database.url) as other:
        other.execute("lock table shop_country in share mode")
        task = started(asdict(updating.project), request, updating.database.url)
        waits = "select count(*) from pg_locks where not granted"
        until(lambda: updating.database.value(waits), "the load waits for the table")
        (child,) = psutil.Process(task.pid).children()
        assert PASSWORD not in " ".join(child.cmdline())
        os.kill(task.pid if killed == "the task" else child.pid, signal.SIGKILL)
        task.wait()
        psutil.wait_procs([child], timeout=40)
        assert not child.is_running()
    (loaded,) = updating.ask("update", countries)["tables"]
    assert loaded["counts"]["inserted"] == 2
    assert len(updating.countries()) == 2
    runs = "select count(*) from windlass.run where state = 'running'"
    assert updating.database.value(runs) == 0


def test_what_is_missing_on_a_worker_is_said(project: Project, tmp_path: Path) -> None:
    request = {"step": "setup_django_env", "updates": []}
    with pytest.raises(WindlassError, match="there is no folder"):
        replace(project, folder="/nowhere").ask(request)
    with pytest.raises(WindlassError, match="cannot be started"):
        replace(project, python="/nowhere/python").ask(request)
    with pytest.raises(BadSpec, match="No module named"):
        replace(project, settings="project.other").ask(request)
    (tmp_path / "broken.py").write_text("raise ValueError('SECRET_KEY is not set')")
    with pytest.raises(BadSpec, match=r"SECRET_KEY is not set \(broken.py, line 1\)"):
        replace(project, folder=str(tmp_path), settings="broken", python=project.interpreter).ask(
            request
        )


def test_a_database_that_is_down_is_worth_another_try(project: Project) -> None:
    with pytest.raises(Stopped, match="connection"):
        project.ask({"step": "setup_django_env", "updates": []},
                    "host=127.0.0.1 port=1 dbname=shop user=app password=secret")  # fmt: skip


def test_a_connection_is_the_url_that_projects_read() -> None:
    given = "host=db port=5433 dbname=shop user=app password='a/b c' sslmode=require"
    assert url_of(given) == "postgres://app:a%2Fb%20c@db:5433/shop?sslmode=require"
    assert json.dumps(url_of("dbname=shop host=/run/pg")) == '"postgres://%2Frun%2Fpg/shop"'
