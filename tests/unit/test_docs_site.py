"""The documentation site: the same pages as in the repository, with links that lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from docs_api import grouped
from docs_links import broken_links
from docs_pages import BESIDE_DOCS, as_on_the_site
from paths import ROOT

SOURCE = "https://example.org/windlass/"


@pytest.mark.parametrize(
    ("here", "written", "shown"),
    [
        ("index.md", "[a](docs/tutorial.md)", "[a](tutorial.md)"),
        ("index.md", "[a](docs/losses.md#of-rows)", "[a](losses.md#of-rows)"),
        ("index.md", "[`a`](CHANGELOG.md)", "[`a`](changelog.md)"),
        ("tested.md", "[a](../ARCHITECTURE.md)", "[a](architecture.md)"),
        ("tested.md", "[a](verify.md)", "[a](verify.md)"),
        ("tested.md", "[a](#versions)", "[a](#versions)"),
        ("tested.md", "[a](../deploy/README.md)", "[a](deploy.md)"),
        ("deploy.md", "[a](../docs/scaling.md)", "[a](scaling.md)"),
        ("tested.md", "[a](https://semver.org)", "[a](https://semver.org)"),
        ("tested.md", "[a](../dags)", "a"),
        ("tested.md", "[a](../gone.md)", "[a](../gone.md)"),
        ("tested.md", "![a](images/b.png)", "![a](images/b.png)"),
        ("tested.md", r"| `a\|b` | c\|d |", r"| `a|b` | c\|d |"),
        ("index.md", "```\n[a](docs/tutorial.md)\n```\n", "```\n[a](docs/tutorial.md)\n```\n"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site(here: str, written: str, shown: str) -> None:
    assert as_on_the_site(written, here) == shown


def test_other_files_are_linked_where_the_repository_has_an_address() -> None:
    shown = as_on_the_site("[a](../dags)", "tested.md", source=SOURCE)
    assert shown == f"[a]({SOURCE}blob/main/dags)"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/index.html").write_text(
        '<h1 id="top">a</h1><a href="../b.html#here">b</a><a href="#top">up</a>'
        '<a href="../b.html#gone">b</a><a href="https://example.org/x">away</a><img src="c.png">'
        '<a href="/b.html">b</a><a href="../a/">a</a>'
    )
    (tmp_path / "b.html").write_text('<p id="here">b</p><a href="d/">d</a>')
    assert broken_links(tmp_path) == [
        "a/index.html: ../b.html#gone",
        "a/index.html: c.png",
        "b.html: d/",
    ]


def test_the_api_is_shown_in_the_groups_of_its_list() -> None:
    source = """
__all__ = [
    # what it does:
    "plan",
    "migrate",  # or resume
    # errors
    "Refused",
    "__version__",
]
"""
    assert list(grouped(source)) == [
        ("What it does", ["plan", "migrate"]),
        ("Errors", ["Refused"]),
    ]


def test_an_api_without_groups_is_one_group() -> None:
    assert list(grouped('__all__ = [\n    "a",\n    "b",\n]\n')) == [("Everything", ["a", "b"])]


def test_every_page_is_in_the_menu() -> None:
    text = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    menu = set(_pages(yaml.safe_load(text)))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert menu == pages | set(BESIDE_DOCS.values()) | {"api.md"}


def _pages(menu: object) -> list[str]:
    if isinstance(menu, list):
        return [page for one in menu for page in _pages(one)]
    if isinstance(menu, dict):
        return [page for one in menu.values() for page in _pages(one)]
    return [str(menu)]
