"""The page about loads does what it says: its commands run, in their order, on a real file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from paths import DOCS, ROOT
from windlass.spec.load import LoadSpec

PAGE = (DOCS / "load.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
KEYS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "windlass"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m windlass "$@"\n')
    program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
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
