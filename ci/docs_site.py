"""Hooks of mkdocs: pages that are not in docs/, and the links between all pages."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.append(str(Path(__file__).parent))  # mkdocs loads a hook by its file alone

from docs_api import api_page
from docs_pages import BESIDE_DOCS, ROOT, as_on_the_site


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Addresses are in pyproject.toml, for the site as for the package index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    urls = project.get("urls", {})
    config.repo_url = urls.get("Source", "")
    config.site_url = urls.get("Documentation", "")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for there, here in BESIDE_DOCS.items():
        files.append(File.generated(config, here, abs_src_path=str(ROOT / there)))
    files.append(File.generated(config, "api.md", content=api_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return as_on_the_site(markdown, page.file.src_uri, source=config.repo_url or "")
