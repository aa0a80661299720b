"""The file that node-exporter's textfile collector reads: one run's series are changed in it, and
those of others stay.

A reader sees the old file or the new one, never a part. Two runs that end at once take turns: the
folder is locked, as a separate lock file would be left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tenacity

from windlass.metrics.families import Samples
from windlass.metrics.text import NotOurs, read, written

LOCK_SECONDS = 10.0
LARGEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class MetricsFile:
    path: Path

    def fault(self) -> str:
        """Why it cannot be written; empty if it can. Its content stays."""
        try:
            with _locked(self._place.parent):
                self._read()
                if _is_of_others(self._place):
                    return "is of another user, in a folder where only its owner may replace it"
                self._write_new("")
                self._new.unlink()
        except (OSError, NotOurs) as error:
            return _reason(error)
        return ""

    def change(self, changed: Callable[[Samples], Samples]) -> str:
        """Write what `changed` makes of its series. Returns why that failed; empty if it did
        not."""
        try:
            with _locked(self._place.parent):
                self._write_new(written(changed(self._read())))
                self._new.replace(self._place)
        except (OSError, NotOurs) as error:
            return _reason(error)
        return ""

    @property
    def _place(self) -> Path:
        """The file itself, behind any link: a link stays, and the file that it leads to is
        replaced."""
        return self.path.resolve()

    @property
    def _new(self) -> Path:
        """The new file: in the same folder, to be renamed into place; hidden, and not named
        *.prom."""
        return self._place.with_name(f".{self._place.name}.new")

    def _read(self) -> Samples:
        try:
            mode = self._place.stat()
        except FileNotFoundError:
            return {}
        if not stat.S_ISREG(mode.st_mode):
            raise OSError("it is not a file")
        if mode.st_size > LARGEST_BYTES:
            raise NotOurs("it is too large")
        try:
            return read(self._place.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise NotOurs("it is not text") from None

    def _write_new(self, text: str) -> None:
        """Keeps the old file's mode, because its reader is usually another user. What a killed run
        left is removed first: a link that somebody put there is not followed."""
        self._new.unlink(missing_ok=True)
        handle = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(handle, stat.S_IMODE(self._place.stat().st_mode))
            file.write(text)
            file.flush()
            os.fsync(handle)


def _is_of_others(path: Path) -> bool:
    """Whether it is somebody else's, in a folder such as /tmp where only they may replace it."""
    try:
        owner, folder = path.stat().st_uid, path.parent.stat()
    except FileNotFoundError:
        return False
    is_sticky = bool(folder.st_mode & stat.S_ISVTX)
    return is_sticky and os.geteuid() not in (0, owner, folder.st_uid)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(BlockingIOError),
    wait=tenacity.wait_random(0.01, 0.05),
    stop=tenacity.stop_after_delay(LOCK_SECONDS),
    reraise=True,
)
def _lock(handle: int) -> None:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _reason(error: OSError | NotOurs) -> str:
    if isinstance(error, NotOurs):
        return f"is not a file of windlass' metrics: {error}"
    if isinstance(error, BlockingIOError):
        return f"another run has been writing it for {LOCK_SECONDS:.0f} s"
    return (error.strerror or str(error)).lower()
