"""This process's private folder for temporary files: definitions and rows of a database.

A killed process cannot remove its folder, so the next command does. A folder is locked while its
process lives: a lock, unlike a process id, cannot be reused.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = f"windlass-{os.geteuid()}-"
_guard = threading.Lock()
_mine: tuple[Path, int, int] | None = None  # the folder, its lock's descriptor, whose it is


def folder() -> Path:
    """The folder, made when first needed and readable by this user only; call `let_go` when
    done."""
    global _mine
    with _guard:
        if _mine is None or _mine[2] != os.getpid() or not _mine[0].exists():
            path, descriptor = _make()
            _mine = path, descriptor, os.getpid()
        return _mine[0]


@contextmanager
def new_file(suffix: str = "") -> Iterator[Path]:
    """A path for a file, which is removed afterwards."""
    path = folder() / f"{os.urandom(8).hex()}{suffix}"
    try:
        yield path
    finally:
        let_go(path)


def _make() -> tuple[Path, int]:
    """Make the folder and lock it before giving it the name that other processes look for."""
    made = tempfile.mkdtemp(prefix=".windlass-")
    descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.urandom(8).hex()}"
    Path(made).rename(path)
    return path, descriptor


def let_go(*paths: Path) -> None:
    """Remove these files, and the folder if nothing else is in it."""
    global _mine
    with _guard:
        for path in paths:
            path.unlink(missing_ok=True)
        if _mine is None or _mine[2] != os.getpid():
            return
        with suppress(OSError):  # something else is in it
            _mine[0].rmdir()
            os.close(_mine[1])
            _mine = None


def sweep() -> None:
    """Remove the folders of processes of this user that have been killed."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as found:
        for entry in found:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):  # in use, another user's, or gone
                    _remove(entry.path)


def _remove(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(descriptor)
