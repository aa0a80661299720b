"""What the tests of exports share: a spec in a file, the command, and what has arrived."""

from __future__ import annotations


from pathlib import Path
from typing import Any

import duckdb
import yaml

from command import Ran, windlass
from servers import Database


def spec_file(folder: Path, **words: Any) -> Path:
    """A spec; by default files go to `folder`/files and rows into `folder`/w.duckdb."""
    defaults = {"to": f"file://{folder}/files", "warehouse": f"duckdb:///{folder}/w.duckdb"}
    path = folder / "export.yaml"
    kept = {key: value for key, value in {**defaults, **words}.items() if value is not None}
    path.write_text(yaml.safe_dump(kept))
    return path


def export(
    source: Database,
    folder: Path,
    *options: str,
    env: Any = None,
    **words: Any,
) -> Ran:
    """An export that asks for nothing but one JSON object on stdout."""
    path = spec_file(folder, **words)
    env = {"WINDLASS_SOURCE": source.url, **(env or {})}
    return windlass("export", "--json", "-f", str(path), *options, env=env)


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in `folder`/w.duckdb."""
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(query).fetchall()


def files(folder: Path) -> list[str]:
    """Every file of the store, without the run's name."""
    found = (folder / "files").rglob("*")
    return sorted(f"{path.parent.parent.name}/{path.name}" for path in found if path.is_file())
