"""The pages in `docs/`, written from the results and from nothing else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from bench.registry import PAGES, Page
from bench.result import Result
from bench.run import load

DOCS = Path(__file__).parent.parent / "docs"


def page_text(page: Page, results: Mapping[str, Result]) -> str | None:
    """None if none of its benchmarks has a result."""
    found = [results[one.name] for one in page.benchmarks if one.name in results]
    render = cast(Callable[[list[Result]], str], load(page.function))
    return render(found) if found else None


def render(results: Mapping[str, Result], docs: Path = DOCS) -> list[Path]:
    """Write the pages that have results; returns those that changed."""
    changed = []
    for page in PAGES:
        text, path = page_text(page, results), docs / page.file
        if text is not None and (not path.exists() or path.read_text() != text):
            path.write_text(text)
            changed.append(path)
    return changed
