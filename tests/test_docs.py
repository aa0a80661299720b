"""Prose that names code, files or commands stays true."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from windlass.cli.main import windlass
from windlass.cli.reference import reference
from windlass.plan import privileges

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

NAMED = re.compile(r"`(windlass(?:\.\w+)+)")
LINKED = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PATHS = sorted({path for page in PAGES for path in NAMED.findall(page.read_text())})
LINKS = [(page, link) for page in PAGES for link in sorted(set(LINKED.findall(page.read_text())))]


def test_the_privileges_are_those_that_are_checked() -> None:
    written = (ROOT / "docs/privileges.md").read_text()
    assert written == privileges.page(), (
        "run: python -m windlass.plan.privileges > docs/privileges.md"
    )


def test_the_command_reference_is_the_programs_own() -> None:
    made = reference()
    written = (ROOT / "docs" / "commands.md").read_text()
    assert written == made, "run: python -m windlass.cli.reference > docs/commands.md"


@pytest.mark.parametrize("path", PATHS)
def test_code_that_prose_names_exists(path: str) -> None:
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


def test_the_readme_fits_on_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_every_hint_names_the_distribution() -> None:
    """`windlass` is somebody else's; in a checkout it is `pip install .`"""
    root = Path(__file__).parent.parent
    files = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    old = re.compile(r"(?<![\w/.-])windlass\[[a-z{]|pip install '?windlass(?!-db)\b")
    wrong = [
        f"{name}: {found[0]}"
        for name in files.stdout.splitlines()
        if name.endswith((".md", ".py", ".yaml", ".toml", "Dockerfile", "Makefile"))
        and name != "tests/test_docs.py"
        for found in old.finditer((root / name).read_text())
    ]
    assert wrong == []
