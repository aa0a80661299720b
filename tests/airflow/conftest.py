"""A process for Airflow, and the example DAGs as it reads them: once for all files of a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

import pytest

from reading_dags import MIGRATION, VALIDATION, Read, airflow_process, dag_file


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="session")
def process(home: Path) -> Iterator[Executor]:
    with airflow_process(home) as found:
        yield found


@pytest.fixture(scope="session")
def dags(process: Executor) -> dict[str, str]:
    """Both files, serialized."""
    return {name: process.submit(dag_file, name).result() for name in (MIGRATION, VALIDATION)}


@pytest.fixture(scope="session")
def migration(dags: Mapping[str, str]) -> Read:
    return Read.of(dags[MIGRATION])
