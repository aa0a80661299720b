"""Opens a file to be read. While it is open here, nobody can write to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from windlass.engines import scratch
from windlass.engines.duckdb.session import MEMORY, QUIET, explaining
from windlass.engines.paths import check_file, path_alone
from windlass.errors import BadSpec, WindlassError


def file_of(url: str, what: str = "source") -> str:
    """The path in the URL of a source or target.

    Raises:
        BadSpec: the URL names no file.
    """
    path = path_alone(url)
    if not path:
        raise BadSpec([f"{what}: duckdb needs the path of a file: duckdb:///folder/file.duckdb"])
    return path


def open_to_read(place: str, path: str) -> Any:
    """Open a file to be read.

    Raises:
        ConnectionLost: another process writes to it; retryable.
        WindlassError: it is no file of DuckDB.
    """
    check_file(place, path, "duckdb")
    _check_kind(place, path)
    with explaining(place, "opening it"):
        session = duckdb.connect(
            path,
            read_only=True,
            config={
                "memory_limit": MEMORY,
                "autoinstall_known_extensions": "false",
                "temp_directory": str(scratch.folder()),  # else it is beside the file
            },
        )
        session.execute(QUIET)
        return session


def _check_kind(place: str, path: str) -> None:
    """Refuse other kinds of files, which DuckDB would open through extensions."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(16)
    except OSError as error:
        hint = "give the account the right to read the file and its folder"
        message = f"{place} cannot be opened: {error.strerror}"
        raise WindlassError(message, hint=hint, side="source") from error
    if head[8:12] == b"DUCK":
        return
    hint = "give the URL of a DuckDB file"
    if head.startswith(b"SQLite format 3"):
        hint = f"it is an SQLite file: give sqlite://{path}"
    message = f"{place} is not a valid DuckDB database"
    raise WindlassError(message, hint=hint, side="source")
