"""This process's arguments, as other users of the machine see them in `ps`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_LINE = Path("/proc/self/cmdline")


def wipe(secrets: Collection[str]) -> bool:
    """Overwrite secrets in them, if the system keeps them in this process's memory (Linux).

    They were visible until now. Returns whether none is left.
    """
    if not sys.platform.startswith("linux"):
        return False
    found = [secret.encode() for secret in secrets if secret]
    with suppress(OSError, ValueError):
        start, end = _place()
        memory = (ctypes.c_char * (end - start)).from_address(start)
        if bytes(memory) != _LINE.read_bytes():  # not what we take it for
            return False
        wiped = bytes(memory)
        for secret in sorted(found, key=len, reverse=True):
            wiped = wiped.replace(secret, b"*" * len(secret))
        ctypes.memmove(start, wiped, len(wiped))
        shown = _LINE.read_bytes()
        return not any(secret in shown for secret in found)
    return False


def _place() -> tuple[int, int]:
    """Where the arguments are in memory: fields 48 and 49 of `stat` (proc(5)); the name comes
    before them."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[45]), int(fields[46])
