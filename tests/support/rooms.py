"""Folders for servers of the tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import psutil

_PREFIX = "windlass-test-"
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30  # three times what the tests of a run take


def make_room() -> Path:
    """A folder where any account may go, unlike pytest's own temporary folders.

    Servers make and remove files all the time, a thousand for each test. In memory that costs a
    third less of the processor than on ext4, so it is there if that has the space.
    """
    room = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_memory()))
    room.chmod(0o755)
    return room


@cache
def _memory() -> Path | None:
    if not os.access(_MEMORY, os.W_OK):
        return None
    for left in _MEMORY.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not psutil.pid_exists(int(pid)):  # killed, and nothing else would ever remove it
            shutil.rmtree(left, ignore_errors=True)
    free = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available)
    return _MEMORY if free >= _MEMORY_BYTES else None
