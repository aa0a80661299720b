"""A new flow is its folder and a line of the registry: nothing else has to know it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paths import SUPPORT

WITH_COUNT = """
import sys
from windlass.flows import registry
registry.FLOWS["count"] = "counting.outline:COUNT"
from windlass.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def windlass(*words: str, code: str = WITH_COUNT) -> subprocess.CompletedProcess[str]:
    paths = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    call = [sys.executable, "-c", code, *words]
    return subprocess.run(call, env=env, capture_output=True, text=True)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "lines.txt").write_text("one\ntwo\nthree\n")
    file = tmp_path / "count.yaml"
    file.write_text(f"text-file: {tmp_path}/lines.txt\n")
    return file


def test_it_has_a_command(spec: Path) -> None:
    assert "Count the lines of a file." in windlass("--help").stdout
    assert "--text-file" in windlass("count", "--help").stdout
    ran = windlass("count", "-f", str(spec), "--json")
    assert (ran.returncode, json.loads(ran.stdout)["counts"]) == (0, {"counted": 3})
    said = windlass("count", "-f", str(spec)).stdout
    assert "Counted" in said and "3 rows counted" in said


def test_what_is_wrong_is_reported_as_of_any_flow(spec: Path, tmp_path: Path) -> None:
    refused = windlass("count", "--text-file", str(tmp_path / "none"))
    assert refused.returncode == 3 and "is not there" in refused.stderr
    wrong = windlass("count", "--text-fil", "x")
    assert wrong.returncode == 2 and "--text-file" in wrong.stderr


def test_plan_and_spec_know_it(spec: Path) -> None:
    assert "counts the lines of" in windlass("plan", "-f", str(spec)).stdout
    assert "text-file: /tmp/lines.txt" in windlass("spec", "count").stdout
    assert "text-file" in json.loads(windlass("spec", "count", "--schema").stdout)["properties"]
    hint = windlass("migrate", "-f", str(spec)).stderr
    assert "windlass count" in hint


def test_its_runs_are_measured(spec: Path, tmp_path: Path) -> None:
    file = tmp_path / "windlass.prom"
    windlass("count", "-f", str(spec), "--metrics-file", str(file), "--metrics-name", "lines")
    assert (
        'windlass_run_counted_rows{flow="count",name="lines",what="counted"} 3' in file.read_text()
    )


def test_python_and_the_tasks_of_a_scheduler_know_it(spec: Path) -> None:
    code = f"""
from windlass.flows import registry
registry.FLOWS["count"] = "counting.outline:COUNT"
import windlass
print(windlass.run_spec(windlass.read_spec({str(spec)!r})).totals.counts)
print("counting.steps" in registry.modules_of_steps())
"""
    assert windlass(code=code).stdout.split("\n")[:2] == ["{'counted': 3}", "True"]
