"""Where a run keeps what it fetches, until it is over: a later process resumes with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


class Fetched:
    """The folder of one run, readable by this user only. A context manager: leaving it removes the
    folder, unless the run is to be resumed. A folder that is `given`, as another process has
    fetched files into it, is left to whoever gave it."""

    def __init__(
        self,
        run: str,
        is_stopped: Callable[[], bool] = lambda: False,
        given: Path | None = None,
    ) -> None:
        """`is_stopped` is asked while something is fetched."""
        self.folder, self.is_stopped = given or _root() / run, is_stopped
        self.is_given = given is not None
        self.is_kept = False

    def made(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder

    def __enter__(self) -> Fetched:
        return self

    def __exit__(self, *fault: object) -> None:
        if not self.is_kept and not self.is_given:
            forget(self.folder.name)


def forget(run: str) -> None:
    """Remove what a run has fetched."""
    shutil.rmtree(_root() / run, ignore_errors=True)


def _root() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "windlass" / "loads"
