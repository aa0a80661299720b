"""Exit codes of commands."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    DIFFERENT = 1
    BAD_SPEC = 2
    REFUSED = 3
    STOPPED = 4
    TAKEN_BACK = 5
    INTERRUPTED = 130
