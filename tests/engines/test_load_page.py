"""The page about loads does what it says: its commands run, in their order, on a real file."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from forked_python import programs
from paths import DOCS, ROOT
from windlass.spec.load import LoadSpec

PAGE = (DOCS / "load.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
KEYS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    with programs(tmp_path, {"windlass": ["-m", "windlass"]}) as found:
        env = {
            **os.environ,
            "PATH": f"{found}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        script = "set -e\n" + "\n".join(COMMANDS)
        call = ["bash", "-c", script]
        ran = subprocess.run(call, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "Nothing to do: orders.csv is as run" in ran.stdout
    assert "exit code 3" in ran.stdout
    assert "orders.csv: line 3, column total" in ran.stderr
    assert "Load into" in ran.stdout and "Rolled back" in ran.stdout


@pytest.mark.parametrize("text", KEYS)
def test_the_keys_of_the_page_are_right(text: str) -> None:
    given = {"target": "sqlite:///x", "from": "a.csv", "into": "a", "load": "append"}
    LoadSpec.of(**{**given, **{k.replace("-", "_"): v for k, v in yaml.safe_load(text).items()}})


def test_what_the_page_installs_has_the_library_of_each_target() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    needed = {re.split(r"[<>=\[]", one)[0] for one in extras["load"]}
    assert "duckdb" in needed  # sqlite3 is Python's, psycopg in the base
