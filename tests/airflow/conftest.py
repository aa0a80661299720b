"""Processes for Airflow, and the example DAGs as they read them: once for all files of a worker,
because each takes several seconds to import Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

import pytest

from demo.airflow.local import LocalAirflow
from paths import EXAMPLE_DAGS
from post import Post, receiving
from reading_dags import MIGRATION, VALIDATION, Read, airflow_process, dag_file


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="session")
def process(home: Path) -> Iterator[Executor]:
    """It has the folder of DAGs in its path, as Airflow's own processes have."""
    with airflow_process(home, EXAMPLE_DAGS) as found:
        yield found


@pytest.fixture(scope="session")
def another(home: Path) -> Iterator[Executor]:
    """A second one of the same Airflow, which has to read what the first reads."""
    with airflow_process(home, EXAMPLE_DAGS) as found:
        yield found


@pytest.fixture(scope="session")
def dags(process: Executor) -> dict[str, str]:
    """Both files, serialized."""
    return {name: process.submit(dag_file, name).result() for name in (MIGRATION, VALIDATION)}


@pytest.fixture(scope="session")
def migration(dags: Mapping[str, str]) -> Read:
    return Read.of(dags[MIGRATION])


@pytest.fixture
def post(running: LocalAirflow) -> Iterator[Post]:
    with receiving(running) as found:
        yield found
