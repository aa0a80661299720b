"""SQLite files with what statements make, and an origin that has its snapshot of one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from windlass.engines.origin import Origin
from windlass.engines.registry import open_origin


def file_with(folder: Path, *statements: str) -> str:
    """The URL of a new file in WAL mode."""
    path = folder / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = off")
        for statement in statements:
            connection.executescript(statement)
    return f"sqlite://{path}"


@contextmanager
def held(url: str) -> Iterator[Origin]:
    with open_origin(url) as origin:
        origin.hold()
        yield origin
