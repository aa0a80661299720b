"""Where a run keeps what it fetches, until it is over: a later process resumes with it. The folder
of a process that was killed before its run began is removed by the next run into the same target.

A folder is locked while a process uses it: a lock ends with the process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from windlass.model.digest import digest

_TARGET = ".target"  # identifies, without naming it, the target that the run loads into


class Fetched:
    """The folder of one run, readable only by this user. As a context manager it removes the folder
    at its end, unless the run will be resumed. A folder that is `given`, which another process has
    filled, is never removed."""

    def __init__(
        self,
        run: str,
        is_stopped: Callable[[], bool] = lambda: False,
        given: Path | None = None,
        target: str = "",
    ) -> None:
        """`is_stopped` is asked while something is fetched."""
        self._target, self._lock = target, -1
        self.folder, self.is_stopped = given or _root() / run, is_stopped
        self.is_given = given is not None
        self.is_kept = False

    def made(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.is_given and self._lock < 0:
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            (self.folder / _TARGET).write_text(digest(self._target))
        return self.folder

    def __enter__(self) -> Fetched:
        return self

    def __exit__(self, *fault: object) -> None:
        if not self.is_kept and not self.is_given:
            forget(self.folder.name)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def forget(run: str) -> None:
    """Remove what a run has fetched."""
    shutil.rmtree(_root() / run, ignore_errors=True)


def sweep(target: str, unfinished: Collection[str]) -> None:
    """Remove what runs into a target have left that nobody can resume."""
    with suppress(OSError), os.scandir(_root()) as found:
        for entry in found:
            if entry.name not in unfinished:
                with suppress(OSError):  # in use, of a run into another target, or gone
                    _remove(entry.path, digest(target))


def _remove(path: str, target: str) -> None:
    if (Path(path) / _TARGET).read_text() != target:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    finally:
        os.close(descriptor)


def _root() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "windlass" / "loads"
