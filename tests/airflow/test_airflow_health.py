"""The health of an Airflow, with Airflow's tables in a database of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from needs import needs_airflow
from servers import Database

BEATS = """
insert into job (job_type, state, hostname, latest_heartbeat, start_date)
select kind, 'running', 'here', now(), now()
from unnest(array['SchedulerJob', 'SchedulerJob', 'TriggererJob', 'DagProcessorJob']) kind
"""


def asked(home: Path, database: str, **more: str) -> tuple[int, str]:
    """The exit code and what is printed."""
    url = database.replace("postgresql:", "postgresql+psycopg2:", 1)
    variables = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__WINDLASS__POOL": "windlass",
        "PATH": os.environ["PATH"],
        **more,
    }
    words = [sys.executable, "-m", "windlass.airflow.health"]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.fixture
def tables(database: Callable[[int], Database]) -> Database:
    """Those of Airflow that are looked at, as its own models make them."""
    needs_airflow()
    found = database(16)
    making = (
        "from airflow.models.base import Base; from airflow.jobs.job import Job;"
        "from airflow.models.pool import Pool; from airflow.models.team import Team;"
        "from sqlalchemy import create_engine; import sys;"
        "Base.metadata.create_all(create_engine(sys.stdin.read()))"
    )
    url = found.url.replace("postgresql:", "postgresql+psycopg2:", 1)
    words = [sys.executable, "-c", making]
    subprocess.run(words, input=url, text=True, capture_output=True, check=True)
    return found


def test_what_is_missing_is_named_and_all_is_well_once_it_is_there(
    tables: Database, tmp_path: Path
) -> None:
    celery = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": "redis://:secret@127.0.0.1:1/0",
    }
    code, text = asked(tmp_path, tables.url, **celery)
    assert code == 1
    assert "BAD  workers        the broker cannot be reached" in text and "secret" not in text
    assert "BAD  scheduler      no task is started" in text
    assert "BAD  pool           windlass does not exist: airflow pools set windlass" in text
    tables.run(BEATS, "insert into slot_pool (pool, slots, include_deferred) values"
                      " ('windlass', 8, false)")  # fmt: skip
    code, text = asked(tmp_path, tables.url)
    assert "ok   scheduler      2 alive" in text and "ok   pool           windlass has 8" in text
    assert code == 0, text


def test_a_database_that_cannot_be_reached_is_all_that_is_reported(
    tables: Database, tmp_path: Path
) -> None:
    code, text = asked(tmp_path, tables.url.replace(f":{tables.server.port}/", ":1/"))
    assert code == 1
    assert text.splitlines() == [
        "BAD  database       cannot be used: OperationalError; see [database] sql_alchemy_conn"
    ]
