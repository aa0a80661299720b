"""A release that lacks a file, or has one of ours, is none; and the version is in one place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import windlass
from release import NEEDED, VERSION, Wrong, check_contents, read_version

ROOT = Path(__file__).parents[2]
TRACKED = {f"src/{name}" for name in NEEDED} | {"README.md", "tests/conftest.py", "docs/tested.md"}
SDIST = {*TRACKED, "PKG-INFO"}
WHEEL = {*NEEDED, "windlass_db-0.1.0.dist-info/METADATA"}


def test_a_release_with_every_file_is_one() -> None:
    check_contents(WHEEL, SDIST, TRACKED)


@pytest.mark.parametrize(
    ("wheel", "sdist", "said"),
    [
        (WHEEL - {"windlass/py.typed"}, SDIST, "the wheel lacks .*py.typed"),
        (WHEEL - {"windlass/journal/schema.sql"}, SDIST, "the wheel lacks .*schema.sql"),
        (WHEEL | {"tests/conftest.py"}, SDIST, "the wheel has .*conftest"),
        (WHEEL, SDIST - {"docs/tested.md"}, "the sdist lacks .*tested.md"),
        (WHEEL, SDIST - {"tests/conftest.py"}, "the sdist lacks .*conftest"),
        (WHEEL, SDIST | {"src/windlass/secret.env"}, "the sdist has .*secret.env"),
    ],
)
def test_a_file_too_few_or_too_many_is_named(wheel: set[str], sdist: set[str], said: str) -> None:
    with pytest.raises(Wrong, match=said):
        check_contents(wheel, sdist, TRACKED)


def test_a_package_without_what_every_wheel_needs_is_refused() -> None:
    few = {name for name in TRACKED if not name.endswith("py.typed")}
    with pytest.raises(Wrong, match=r"py\.typed"):
        check_contents(WHEEL - {"windlass/py.typed"}, SDIST, few)


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == VERSION
    assert read_version() == windlass.__version__


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=str)
def test_workflows_call_what_is_there_and_may_only_read(workflow: Path) -> None:
    found = yaml.safe_load(workflow.read_text())
    commands = [
        step["run"] for job in found["jobs"].values() for step in job["steps"] if "run" in step
    ]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = [command.split()[1] for command in commands if command.startswith("make ")]
    assert found["permissions"] == {"contents": "read"}
    assert set(made) <= set(targets)
    assert made or ".ci/run" in commands
    assert "NOT RUN" in workflow.read_text()
