"""What the tests of exports share: a spec in a file, the command, and what has arrived."""

from __future__ import annotations

from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest
import yaml

from command import Ran
from servers import PASSWORD, QUOTED_PASSWORD
from windlass.cli.main import run
from windlass.engines.objects.store import ObjectStore
from windlass.flows.export import publishing
from windlass.flows.export.records import FOLDER, Records
from windlass.model.outcome import State


def spec_file(folder: Path, **words: Any) -> Path:
    """A spec; by default files go to `folder`/files and rows into `folder`/w.duckdb."""
    defaults = {"to": f"file://{folder}/files", "warehouse": f"duckdb:///{folder}/w.duckdb"}
    path = folder / "export.yaml"
    kept = {key: value for key, value in {**defaults, **words}.items() if value is not None}
    path.write_text(yaml.safe_dump(kept))
    return path


class Source(Protocol):
    """Where a database is."""

    @property
    def url(self) -> str: ...


def export(
    source: Source,
    folder: Path,
    *options: str,
    env: Any = None,
    **words: Any,
) -> Ran:
    """An export that asks for nothing but one JSON object on stdout. In this process, as most of
    a short run in a separate one would be imports."""
    path = spec_file(folder, **words)
    with ExitStack() as stack:
        stdout, stderr = StringIO(), StringIO()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for key, word in {"WINDLASS_SOURCE": source.url, **(env or {})}.items():
            patch.setenv(key, word)
        stack.enter_context(redirect_stdout(stdout))
        stack.enter_context(redirect_stderr(stderr))
        code = run(["export", "--json", "-f", str(path), *options])
    ran = Ran(code, stdout.getvalue(), stderr.getvalue())
    assert PASSWORD not in ran.said and QUOTED_PASSWORD not in ran.said, "a password was shown"
    assert "Traceback (most recent call last)" not in ran.said, ran.said[-6000:]
    return ran


def stop(folder: Path, run: str, **words: Any) -> None:
    """Let a run's record say that it has not come to its end."""
    to = words.get("to", f"file://{folder}/files")
    Records(ObjectStore(to, words.get("store_options", {}))).set_state(run, State.STOPPED)


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in `folder`/w.duckdb."""
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(query).fetchall()


def files(folder: Path) -> list[str]:
    """Every file of the store, without the run's name, and without what is of whole runs."""
    found = (folder / "files").rglob("*")
    return sorted(
        f"{path.parent.parent.name}/{path.name}"
        for path in found
        if path.is_file() and path.parent.name not in (FOLDER, publishing.FOLDER, "files")
    )
