"""Digests of rows while they are copied: the lines that are sent are hashed, so that no second
reading is needed.

Different rows have different lines of COPY, and PostgreSQL prints the same lines
(`windlass.engines.postgres.foreign.sent`), except that it also escapes three characters that COPY
reads as they are. Those are escaped here before a line is hashed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from functools import partial
from sys import byteorder

from windlass.model.translation import Digest, Field, Sort

__all__ = ["HALF", "LineDigest", "can_hash", "can_hash_without_floats", "md5"]

try:  # Python's own takes 0.6 of the time of OpenSSL's for texts of 100 bytes
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:  # some Pythons are built without it
    md5 = partial(hashlib.md5, usedforsecurity=False)

HALF = (1 << 60) - 1  # fifteen hexadecimal digits
_AS_SENT = frozenset(
    {
        Sort.BOOLEAN, Sort.INTEGER, Sort.DECIMAL, Sort.FLOAT, Sort.TEXT, Sort.DATE, Sort.TIME,
        Sort.TIMESTAMP, Sort.INSTANT, Sort.UUID, Sort.BITS, Sort.ENUM,
    }
)  # fmt: skip
"""For these types the text that is sent is the text that is hashed. For floats only origins
know."""


def can_hash(fields: Sequence[Field]) -> bool:
    return all(field.type.sort in _AS_SENT for field in fields)


def can_hash_without_floats(fields: Sequence[Field]) -> bool:
    """For origins whose text of a float is not the one that is hashed."""
    return can_hash(fields) and all(one.type.sort is not Sort.FLOAT for one in fields)


_PRINTED = ((b"\b", rb"\b"), (b"\f", rb"\f"), (b"\v", rb"\v"))  # CopyAttributeOutText, copyto.c


class LineDigest:
    """The digest of all lines that are added: the sums of both halves of their MD5, as signed
    64-bit numbers."""

    def __init__(self, columns: int) -> None:
        self._tabs = columns - 1  # of each line
        self._rows = self._first = self._second = 0
        self._is_exact = True

    def add(self, block: bytes) -> None:
        """A block of whole lines."""
        if not self._is_exact:
            return
        for raw, printed in _PRINTED:
            if raw in block:
                block = block.replace(raw, printed)
        lines = block.split(b"\n")
        lines.pop()
        if block.count(b"\t") != self._tabs * len(lines):
            self._is_exact = False
            return
        halves = array("q", b"".join([md5(line).digest() for line in lines]))
        if byteorder == "little":
            halves.byteswap()
        self._rows += len(lines)
        self._first += sum(halves[0::2])
        self._second += sum(halves[1::2])

    @property
    def digest(self) -> Digest | None:
        """The digest; None if a line had a tab within a value."""
        if not self._is_exact:
            return None
        return Digest(self._rows, self._first, self._second)
