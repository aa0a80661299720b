"""Locations of files on this machine: which files a path or a pattern names, and which format their
names indicate."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from windlass.engines.paths import path_alone
from windlass.errors import BadSpec, Refused
from windlass.model.inputs import Compression, Format
from windlass.model.report import Problem

_FORMATS = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
    ".json": Format.JSON,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".xlsx": Format.EXCEL,
    ".xlsm": Format.EXCEL,
    ".xlsb": Format.EXCEL,
    ".xls": Format.EXCEL,
    ".ods": Format.EXCEL,
}
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


def scheme_of(location: str) -> str:
    """``https``; empty for a path."""
    return urlsplit(location).scheme.lower() if _SCHEME.match(location) else ""


def format_of(name: str, compression: Compression) -> Format | None:
    """The format by the end of a file's name, before that of its compression; None if it shows
    none."""
    path = PurePosixPath(name)
    if compression is not Compression.NONE and path.suffix.lower() not in _FORMATS:
        path = path.with_suffix("")
    return _FORMATS.get(path.suffix.lower())


def local_files(locations: Sequence[str]) -> list[tuple[Path, str]]:
    """The files, each with its name for people, in the order of the locations; files of one pattern
    are sorted by name.

    Raises:
        Refused: there is no such file, or one is given twice. Has every problem.
    """
    found: list[tuple[Path, str]] = []
    problems: list[Problem] = []
    for location in locations:
        paths = _paths(location)
        if not paths:
            what = "no file matches" if glob.has_magic(location) else "there is no such file"
            problems.append(Problem(location, what, "check the path"))
        for path in paths:
            if path.is_dir():
                hint = f"give a pattern: {str(path).rstrip('/')}/*.csv"
                problems.append(Problem(str(path), "is a folder", hint))
            else:
                found.append((path, str(path)))
    problems += _doubled(found)
    if problems:
        raise Refused(problems)
    return found


def _paths(location: str) -> list[Path]:
    given = location
    if scheme_of(location) == "file":
        given = path_alone(location)
        if not given:
            raise BadSpec([f"{location}: not the absolute path of a file: file:///folder/file.csv"])
    path = Path(given).expanduser()
    if path.exists() or not glob.has_magic(given):
        return [path] if path.exists() else []
    # pathlib's matching differs from a shell's: it follows `**` into hidden folders
    matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
    return [Path(one) for one in matches if Path(one).is_file()]


def _doubled(found: Sequence[tuple[Path, str]]) -> Iterator[Problem]:
    times = Counter(path.resolve() for path, _ in found)
    for path, count in times.items():
        if count > 1:
            yield Problem(str(path), f"is given {count} times", "give each file once")
