"""Shows which process works on a run: it holds a lock on a file beside the database, which ends
with the process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from windlass.engines.embedded.names import lock_file
from windlass.errors import Refused
from windlass.model.report import Problem

_ATTEMPTS = 5
_LOOK_SECONDS = 0.02


@contextmanager
def working(place: str, path: str, run: str) -> Iterator[None]:
    """Lock the run's file for as long as the context lasts.

    Raises:
        Refused: another process, or another landing of this one, works on the run.
    """
    beside = lock_file(path, run)
    descriptor = _locked_soon(beside)
    if descriptor is None:
        raise being_worked_on(place, run)
    try:
        yield
    finally:
        beside.unlink(missing_ok=True)
        os.close(descriptor)


def is_worked_on(path: str, run: str) -> bool:
    beside = lock_file(path, run)
    if not beside.exists():
        return False
    descriptor = _locked(beside)
    if descriptor is None:
        return True
    beside.unlink(missing_ok=True)
    os.close(descriptor)
    return False


def being_worked_on(place: str, run: str) -> Refused:
    hint = "wait until it has ended, or stop it; then run the same command again"
    return Refused([Problem(f"run {run}", f"another process works on it, in {place}", hint)])


def _locked_soon(beside: Path) -> int | None:
    """Try the lock several times, as other processes lock it for a moment to test it."""
    for _ in range(_ATTEMPTS):
        descriptor = _locked(beside)
        if descriptor is not None:
            return descriptor
        time.sleep(_LOOK_SECONDS)
    return None


def _locked(beside: Path) -> int | None:
    """A descriptor that holds the lock on the file which has the name now; None if another process
    holds it."""
    while True:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        try:
            if os.fstat(descriptor).st_ino == beside.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
