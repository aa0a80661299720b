"""Positions in the write-ahead log, as numbers and as the server's text."""

from __future__ import annotations

from typing import NewType

Lsn = NewType("Lsn", int)

NOWHERE = Lsn(0)  # before every position; the server calls it invalid


def parse(text: str) -> Lsn:
    """`0/16B3748` as a number.

    Raises:
        ValueError: it is no position.
    """
    high, slash, low = text.partition("/")
    if not slash or len(high) > 8 or len(low) > 8:
        raise ValueError(f"not a position in the log: {text!r}")
    return Lsn((int(high, 16) << 32) + int(low, 16))


def text(lsn: int) -> str:
    """As the server writes it: `0/16B3748`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
