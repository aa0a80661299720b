"""What rows are read from, opened: files of this machine, of the web and of object stores, pages of
an API, a query of a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from windlass.engines.landing import Input
from windlass.errors import BadSpec, WindlassError
from windlass.model.inputs import FilesFrom, From


def open_inputs(source: From, folder: Path | None = None) -> Sequence[Input]:
    """In an order that is always the same: that of the locations, and by name within a pattern.
    What is not on this machine is fetched into the `folder` first, unless it is there.

    Raises:
        BadSpec: the description contradicts itself.
        Refused: files are not there, or have other fields than the first. Has every problem.
        BadRecord: a header, or a file of JSON, cannot be read.
        WindlassError: a file cannot be fetched or read, or a library is not installed.
    """
    try:
        if isinstance(source, FilesFrom):
            from windlass.engines.files.opening import open_files

            return open_files(source)
    except ImportError as error:
        raise WindlassError(
            f"{error.name} is not installed", hint="pip install 'windlass-db[load]'"
        ) from error
    raise BadSpec(["from: cannot be read yet"])
