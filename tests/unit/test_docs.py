"""Prose that names code, files or commands stays true."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from paths import ROOT, TESTS
from windlass import airflow
from windlass.cli.commands import windlass
from windlass.cli.reference import reference
from windlass.planning.postgres import privileges

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

NAMED = re.compile(r"`(windlass(?:\.\w+)+)")
LINKED = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PATHS = sorted({path for page in PAGES for path in NAMED.findall(page.read_text())})
LINKS = [(page, link) for page in PAGES for link in sorted(set(LINKED.findall(page.read_text())))]


def test_the_privileges_are_those_that_are_checked() -> None:
    written = (ROOT / "docs/privileges.md").read_text()
    assert written == privileges.page(), (
        "run: python -m windlass.planning.postgres.privileges > docs/privileges.md"
    )


def test_the_command_reference_is_the_programs_own() -> None:
    made = reference()
    written = (ROOT / "docs" / "commands.md").read_text()
    assert written == made, "run: python -m windlass.cli.reference > docs/commands.md"


@pytest.mark.parametrize("path", PATHS)
def test_code_that_prose_names_exists(path: str) -> None:
    if path.startswith("windlass.airflow."):
        assert is_written(path)
        return
    parts = path.split(".")
    found: object = None
    for at in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:at]))
        except ModuleNotFoundError:
            continue
        for name in parts[at:]:
            found = getattr(found, name)
        break
    assert found is not None


def is_written(path: str) -> bool:
    """Whether the source has it: to import Airflow takes two seconds."""
    *parts, name = path.split(".")
    place = ROOT / "src" / "/".join(parts)
    if (place / f"{name}.py").exists() or (place / name / "__init__.py").exists():
        return True
    if parts == ["windlass", "airflow"]:
        assert name in airflow.__all__
        place /= airflow._module_of(name)
    code = place.with_suffix(".py").read_text()
    return bool(re.search(rf"^((class|def) {name}\b|{name}\b.* = )", code, re.MULTILINE))


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda value: getattr(value, "name", value))
def test_links_between_pages_lead_somewhere(page: Path, link: str) -> None:
    assert (page.parent / link).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_prose_names_exist(page: Path) -> None:
    known = {
        option
        for command in windlass.commands.values()
        for p in command.params
        for option in p.opts
    }
    known |= {"--help", "--version"}
    for verb in windlass.commands:
        for line in re.findall(rf"windlass {verb}\b([^`\n#]*)", page.read_text()):
            options = set(re.findall(r"(?<=\s)--[a-z][a-z-]+", line))
            assert options <= known, f"{page.name}: windlass {verb}{line}"


def floors() -> list[set[str]]:
    """As `make check` has them, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (house,) = (one for one in contracts["contracts"] if one["type"] == "layers")
    floors = [set(re.findall(r"(?<!\()\b\w+\b(?!\))", layer)) for layer in house["layers"]]
    return [floor for floor in floors if floor != {"__main__"}]


def test_the_floors_of_the_house_are_drawn_as_they_are_checked() -> None:
    drawn = re.search(r"```\n(cli/.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    assert drawn is not None
    lines = drawn[1].splitlines()
    assert [set(re.findall(r"\b(\w+)(?:/|\.py)", line)) for line in lines] == floors()
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| layer | packages |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    assert [set(re.findall(r"`(\w+)(?:\.py)?`", row)) for row in rows] == floors()


def test_the_tests_of_exit_4_are_there() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text().partition("| tests |")[2]
    rows = [row for row in page.splitlines() if row.startswith("| ")]
    named = {name.strip() for row in rows for name in row.split("|")[-2].split(",")} - {""}
    assert len(rows) > 10
    assert [name for name in sorted(named) if not [*TESTS.glob(f"*/test_{name}.py")]] == []


def test_every_page_is_linked_from_the_readme_or_a_page_that_is() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists() or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [(page.parent / link).resolve() for link in LINKED.findall(page.read_text())]
    assert set(PAGES) <= reached


def test_the_readme_fits_on_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_every_hint_names_the_distribution() -> None:
    """`windlass` is somebody else's; in a checkout it is `pip install .`"""
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    old = re.compile(r"(?<![\w/.-])windlass\[[a-z{]|pip install '?windlass(?!-db)\b")
    wrong = [
        f"{name}: {found[0]}"
        for name in files.stdout.splitlines()
        if name.endswith((".md", ".py", ".yaml", ".toml", "Dockerfile", "Makefile"))
        and name != "tests/unit/test_docs.py"
        for found in old.finditer((ROOT / name).read_text())
    ]
    assert wrong == []
