"""Whatever a spec file contains, a command reports its faults, and never fails otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.cli.endings import ending_of
from windlass.cli.main import run
from windlass.spec.export import ExportSpec
from windlass.spec.migrate import Spec
from windlass.spec.model import spec_keys
from windlass.spec.rewrite import RewriteSpec

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = {
    "null size": "chunk-size: null",
    "list": "chunk-size: [1]",
    "mapping": "chunk-size: {a: 1}",
    "fraction": "chunk-size: 1.5",
    "boolean": "chunk-size: true",
    "endless size": f"chunk-size: '{'9' * 5000}MB'",
    "endless number": f"jobs: {'9' * 5000}",
    "no such day": "schema: 2024-13-45",
    "nested": "include: " + "[" * 1000,
    "nested and closed": "include: " + "[" * 1000 + "]" * 1000,
    "bomb": BOMB + "include: *i",
    "inside of itself": "include: &a [*a]",
    "merged into itself": "include: &a {<<: *a}",
    "half a character": 'include: "\\ud800"',
    "zero byte": 'source: "a\\0b"',
    "large": "include: [" + "a, " * (1 << 19) + "a]",
    "tag": "include: !!python/object/apply:os.system ['true']",
    "unhashable": "? [a]\n: b",
}


def ends_plainly(
    capsys: pytest.CaptureFixture[str], command: str, path: Path, *words: str
) -> dict[str, Any]:
    code = run([command, "--json", "--file", str(path), *words])
    ended: dict[str, Any] = json.loads(capsys.readouterr().out)
    is_fault_of_the_server = code == 4 and "cannot be reached" in ended["message"]
    assert code in (2, 3) or is_fault_of_the_server, ended
    assert "unexpected" not in ended["message"]
    return ended


@pytest.mark.parametrize("command", ["plan", "migrate", "verify", "rewrite", "export"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_file_is_a_bad_spec(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, name: str
) -> None:
    path = tmp_path / "spec.yml"
    path.write_text(TEXTS[name] + "\n")
    assert ends_plainly(capsys, command, path)["exit_code"] == 2


PORT = "postgresql://postgres@127.0.0.1:1/none"  # nobody listens there
KNOWN = {
    "migrate": spec_keys(Spec),
    "rewrite": spec_keys(RewriteSpec),
    "export": spec_keys(ExportSpec),
}
WORDS = st.sampled_from(
    ["", "auto", "full", "64MB", "public.*", "*", "shop", "file:///tmp/x", PORT, "host=127.0.0.1 "
     "port=1", "service=none", "duckdb:///x", "a: b", "é\n", "=", "postgresql://[", "%zz", "1.5"]
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("command", KNOWN)
@settings(
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_mapping_ends_as_bad_spec_refused_or_unreachable(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, data: st.DataObject
) -> None:
    keys = st.sampled_from(KNOWN[command]) | st.text(max_size=5)
    spec = data.draw(st.dictionaries(keys, VALUES, max_size=5))
    path = tmp_path / "spec.yml"
    path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    sides = {
        "migrate": ("--source", PORT, "--target", PORT),
        "rewrite": ("--target", PORT),
        "export": ("--source", PORT),
    }
    ends_plainly(capsys, command, path, *sides[command])


def test_what_is_not_installed_is_named_with_its_extra(tmp_path: Path) -> None:
    path = tmp_path / "spec.yml"
    path.write_text(f"source: {PORT}\nto: file:///tmp/x\n")
    code = f"""
import sys
sys.modules["obstore"] = None
from windlass.cli.main import run
sys.exit(run(["export", "--json", "--file", {str(path)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    ended = json.loads(done.stdout)
    assert ended["exit_code"] == done.returncode == 3
    assert "obstore" in ended["message"]
    assert ended["hint"] == "pip install 'windlass-db[export]'"


def test_a_file_that_cannot_be_written_is_a_separate_problem() -> None:
    ending = ending_of(PermissionError(13, "Permission denied", "/there"), writes=False)
    assert (ending.exit, ending.message) == (3, "/there: Permission denied")


def test_a_demo_where_nothing_can_be_written_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["demo", "--json", "--folder", "/proc/windlass-demo"]) == 3
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["object"] == "/proc/windlass-demo"
    assert "--folder" in problem["hint"]
