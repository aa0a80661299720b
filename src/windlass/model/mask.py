"""How values of a column are hidden, in a load or on their way into another database."""

from __future__ import annotations

from enum import StrEnum


class Mask(StrEnum):
    HASH = "hash"  # with the key of the environment, so that joins still work
    NULL = "null"
