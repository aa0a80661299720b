"""A new flow is its folder and a line of the registry: nothing else has to know it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from paths import SUPPORT

# All of it in one process: to start another one takes half a second.
SERVING = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from windlass.flows import registry
registry.FLOWS["count"] = "counting.outline:COUNT"
from windlass.cli.main import run
for line in sys.stdin:
    asked = json.loads(line)
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = run(asked) if isinstance(asked, list) else exec(asked, {}) or 0
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class Ran(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def asked() -> Iterator[Callable[[object], Ran]]:
    """Commands, or Python code, of a process whose registry has the flow."""
    paths = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVING],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(what: object) -> Ran:
            assert process.stdin is not None and process.stdout is not None
            print(json.dumps(what), file=process.stdin, flush=True)
            return Ran(*json.loads(process.stdout.readline()))

        yield ask
        process.stdin.close()


@pytest.fixture
def windlass(asked: Callable[[object], Ran]) -> Callable[..., Ran]:
    return lambda *words: asked(words)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "lines.txt").write_text("one\ntwo\nthree\n")
    file = tmp_path / "count.yaml"
    file.write_text(f"text-file: {tmp_path}/lines.txt\n")
    return file


def test_it_has_a_command(windlass: Callable[..., Ran], spec: Path) -> None:
    assert "Count the lines of a file." in windlass("--help").stdout
    assert "--text-file" in windlass("count", "--help").stdout
    ran = windlass("count", "-f", str(spec), "--json")
    assert (ran.returncode, json.loads(ran.stdout)["counts"]) == (0, {"counted": 3})
    said = windlass("count", "-f", str(spec)).stdout
    assert "Counted" in said and "3 rows counted" in said


def test_what_is_wrong_is_reported_as_of_any_flow(
    windlass: Callable[..., Ran], spec: Path, tmp_path: Path
) -> None:
    refused = windlass("count", "--text-file", str(tmp_path / "none"))
    assert refused.returncode == 3 and "is not there" in refused.stderr
    wrong = windlass("count", "--text-fil", "x")
    assert wrong.returncode == 2 and "--text-file" in wrong.stderr


def test_plan_and_spec_know_it(windlass: Callable[..., Ran], spec: Path) -> None:
    assert "counts the lines of" in windlass("plan", "-f", str(spec)).stdout
    assert "text-file: /tmp/lines.txt" in windlass("spec", "count").stdout
    assert "text-file" in json.loads(windlass("spec", "count", "--schema").stdout)["properties"]
    hint = windlass("migrate", "-f", str(spec)).stderr
    assert "windlass count" in hint


def test_its_runs_are_measured(windlass: Callable[..., Ran], spec: Path, tmp_path: Path) -> None:
    file = tmp_path / "windlass.prom"
    windlass("count", "-f", str(spec), "--metrics-file", str(file), "--metrics-name", "lines")
    assert (
        'windlass_run_counted_rows{flow="count",name="lines",what="counted"} 3' in file.read_text()
    )


def test_python_and_the_tasks_of_a_scheduler_know_it(
    asked: Callable[[object], Ran], spec: Path
) -> None:
    code = f"""
from windlass.flows import registry
import windlass
print(windlass.run_spec(windlass.read_spec({str(spec)!r})).totals.counts)
print("counting.steps" in registry.modules_of_steps())
"""
    assert asked(code).stdout.split("\n")[:2] == ["{'counted': 3}", "True"]
