"""The Airflow that all tests of a run share, over the examples' DAGs and those of the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.airflow.client import USER
from demo.airflow.local import LocalAirflow, Setup, is_running
from needs import needs_airflow
from paths import EXAMPLE_DAGS, OUR_DAGS
from rooms import make_room

AIRFLOW_PASSWORD = "Sw0rdfish/of%the sea"
VIEWER = "viewer"  # who may look at everything, and trigger nothing
QUOTED_AIRFLOW_PASSWORD = "Sw0rdfish%2Fof%25the%20sea"
SHIP = f"captain:{QUOTED_AIRFLOW_PASSWORD}@ship.example:5433/log%20book?sslmode=require"


def copy_dags(folder: Path) -> Path:
    """The examples, and those of the tests, as one folder of DAGs."""
    for file in (*EXAMPLE_DAGS.glob("*.py"), *OUR_DAGS.glob("*.py")):
        folder.mkdir(exist_ok=True)
        shutil.copy(file, folder)
    return folder


def up(airflow: LocalAirflow) -> LocalAirflow:
    if not is_running(airflow.folder):
        airflow.start()
    return airflow


@contextmanager
def shared_airflow() -> Iterator[LocalAirflow]:
    """With the LocalExecutor, a pool `windlass` and a connection `ship`; not started yet.

    A test gives it the connections that it needs, under their own names (`set_connection`).
    """
    needs_airflow()
    room = make_room()
    dags = copy_dags(room / "dags")
    connections = {"ship": f"postgresql://{SHIP}"}
    settings: dict[str, dict[str, object]] = {
        "windlass": {"page_connections": "page_source > page_target", "page_actions": True},
        "core": {"simple_auth_manager_users": f"{USER}:admin,{VIEWER}:viewer"},
    }
    setup = Setup(connections=connections, pools={"windlass": 8}, settings=settings)
    made = LocalAirflow(room / "airflow", dags, setup)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(room, ignore_errors=True)
