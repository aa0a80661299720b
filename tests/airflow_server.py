"""One Airflow for all tests of a run that need one; the first of them starts it.

It may be imported into conftest or into test modules, and is still only one per folder of DAGs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from windlass.airflow.local import LocalAirflow

_found: dict[Path, LocalAirflow] = {}


def needs_airflow() -> None:
    """Skip where Airflow is not installed; on CI it is, so there it is a failure."""
    if find_spec("airflow") is None:
        reason = "Airflow is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def make_room() -> Path:
    """A folder where any account may go, unlike pytest's own temporary folders."""
    room = Path(tempfile.mkdtemp(prefix="windlass-test-"))
    room.chmod(0o755)
    return room


def copy_dags(folder: Path) -> Path:
    """The examples, and those of the tests, as one folder of DAGs."""
    tests = Path(__file__).parent
    for file in (*(tests.parent / "dags").glob("*.py"), *(tests / "dags").glob("*.py")):
        folder.mkdir(exist_ok=True)
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def airflow(request: pytest.FixtureRequest) -> Callable[[Path], LocalAirflow]:
    """The run's Airflow over a folder of DAGs, with the LocalExecutor and a pool `windlass`.

    A test gives it the connections that it needs, under names of its own (`set_connection`).
    """

    def over(dags: Path) -> LocalAirflow:
        needs_airflow()
        if dags not in _found:
            room = make_room()
            made = LocalAirflow(room / "airflow", dags, pools={"windlass": 8})
            request.config.add_cleanup(lambda: shutil.rmtree(room, ignore_errors=True))
            request.config.add_cleanup(made.stop)
            made.start()
            _found[dags] = made
        return _found[dags]

    return over
