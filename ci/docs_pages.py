"""Which files are pages of the documentation site, and what links between them become there.

Pages are written for whoever reads them in the repository, where README.md links to
docs/tutorial.md and that to ../ARCHITECTURE.md. On the site both are pages. A link to any other
file becomes its bare text, or leads to where `[project.urls]` of pyproject.toml has the source.
"""

from __future__ import annotations

import posixpath
import re
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[1]
BESIDE_DOCS = {  # in the repository: on the site
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "deploy/README.md": "deploy.md",
}
FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\|.*$", re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def as_on_the_site(markdown: str, here: str, *, source: str = "") -> str:
    """A page that is `here` on the site; `source` is the address of the repository, if any."""
    there = next((name for name, site in BESIDE_DOCS.items() if site == here), f"docs/{here}")

    def on_site(link: re.Match[str]) -> str:
        return _link(link, there, here, source)

    parts = FENCED.split(markdown)
    prose = (ROW.sub(_row, LINK.sub(on_site, part)) for part in parts[::2])
    return "".join(text for pair in zip_longest(prose, parts[1::2], fillvalue="") for text in pair)


def _row(row: re.Match[str]) -> str:
    """In a table of the repository's pages a | of code needs a backslash; mkdocs would show it."""
    return CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0])


def _link(link: re.Match[str], there: str, here: str, source: str) -> str:
    text, path, anchor = link[1], link[2], link[3] or ""
    named = posixpath.normpath(posixpath.join(posixpath.dirname(there), path))
    if named in BESIDE_DOCS or named.startswith("docs/"):
        page = BESIDE_DOCS.get(named) or named.removeprefix("docs/")
        return f"[{text}]({posixpath.relpath(page, posixpath.dirname(here) or '.')}{anchor})"
    if not (ROOT / named).exists():
        return link[0]  # which mkdocs reports
    return f"[{text}]({source.rstrip('/')}/blob/main/{named})" if source else text
