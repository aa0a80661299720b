"""The versions on the support page are those that are pinned, declared and tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def row(name: str) -> list[str]:
    """The cells of the row that starts with this name: tested, allowed, not tested."""
    page = (ROOT / "docs/support.md").read_text()
    (found,) = re.findall(rf"^\| {name}[^|]*\|(.*)\|$", page, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


def test_airflow_is_the_one_that_is_pinned() -> None:
    pinned = re.search(r"^apache-airflow==(\S+)", (ROOT / "constraints.txt").read_text(), re.M)
    (needed,) = (one for one in PROJECT["optional-dependencies"]["airflow"] if "airflow>" in one)
    tested, allowed, _ = row("Apache Airflow")
    newest, _, older = tested.partition("; in ")
    assert pinned and newest == pinned[1]
    versions = (ROOT / "tests/airflow/test_airflow_versions.py").read_text()
    assert f'("{older.partition(" ")[0]}", ' in versions
    assert needed == "apache-airflow>=3.2,<4" and allowed == "3.2 or newer, before 4"


def test_python_is_what_is_declared() -> None:
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    tested, allowed, untested = row("Python")
    assert PROJECT["requires-python"] == f">={tested}"
    assert allowed == f"{tested} or newer; declared up to {declared[-1]}"
    assert [tested, *re.findall(r"3\.1\d", untested)] == declared


def test_postgresql_is_what_was_tested() -> None:
    header = re.search(
        r"^\| source \\ target \|(.*)\|$", (ROOT / "docs/tested.md").read_text(), re.M
    )
    assert header
    versions = [cell.strip() for cell in header[1].split("|")]
    tested, allowed, _ = row("PostgreSQL")
    assert tested.startswith(f"{versions[0]} to {versions[-1]};")
    assert allowed.startswith(f"{versions[0]} or newer")
