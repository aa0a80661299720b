"""Versions of Airflow that the extra allows, besides the one that all tests run with: in a new
environment of each, DAGs are read as its scheduler reads them, and a database is migrated."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_runs import expect_equal, fill
from needs import needs, needs_airflow
from paths import ROOT
from rooms import make_room
from servers import Pair

# the last of each minor version, with what it depends on as of a day soon after its release
VERSIONS = [("3.2.2", "2026-06-20")]
READING = ("test_airflow_dags.py", "test_airflow_factory.py")
MIGRATING = """
import json, sys
from pathlib import Path
from demo.airflow.local import LocalAirflow, Setup, airflow_version

asked = json.load(sys.stdin)
setup = Setup(connections=asked["connections"], pools={"windlass": 8})
with LocalAirflow(Path(asked["folder"]), Path("dags"), setup) as airflow:
    dag_id = "postgres_to_postgres_migration"
    run_id = airflow.client.trigger(dag_id, {"partition_threshold": 100_000})
    state = airflow.client.wait_for(dag_id, run_id, 480.0)
    tasks = {one["task_id"]: one["state"] for one in airflow.client.task_instances(dag_id, run_id)}
print(json.dumps({"version": airflow_version(), "state": state, "tasks": tasks}))
"""


@pytest.fixture
def room() -> Iterator[Path]:
    found = make_room()
    yield found
    shutil.rmtree(found, ignore_errors=True)


def environment(folder: Path, version: str, day: str) -> Path:
    """The interpreter of a new environment with this Airflow, into which this checkout is
    installed as into any Airflow that is there."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    run([*pip, "--upgrade", "pip"])
    airflow = f"apache-airflow=={version}"
    run([*pip, "--uploaded-prior-to", day, airflow])
    tools = ["hypothesis", "psutil", "pytest", "pytest-xdist"]
    run([*pip, airflow, f"{ROOT}[airflow,demo]", *tools])
    return python


def run(words: Sequence[str | Path], given: str = "") -> str:
    done = subprocess.run(words, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.full
@pytest.mark.parametrize(("version", "day"), VERSIONS)
def test_another_version_reads_the_dags_and_migrates_a_database(
    version: str, day: str, pair: Pair, room: Path
) -> None:
    needs_airflow()
    needs(sys.version_info < (3, 14), "this Airflow is for older versions of Python")
    python = environment(room / "venv", version, day)
    files = [ROOT / "tests" / "airflow" / name for name in READING]
    run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files])
    fill(pair.source, items=2_000, sales=500)
    uris = {side: one.url.replace("postgresql:", "postgres:", 1)
            for side, one in (("source", pair.source), ("target", pair.target))}  # fmt: skip
    asked = {
        "connections": {f"postgres_{side}": uri for side, uri in uris.items()},
        "folder": str(room / "airflow"),
    }
    told: dict[str, Any] = json.loads(
        run([python, "-c", MIGRATING], json.dumps(asked)).splitlines()[-1]
    )
    assert (told["version"], told["state"]) == (version, "success"), told["tasks"]
    assert set(told["tasks"].values()) <= {"success", "skipped"}
    expect_equal(pair)
