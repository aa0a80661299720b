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

from windlass.model.translation import Digest, Field, Hashed, Sort

__all__ = [
    "HALF", "BlockDigest", "LineDigest", "can_hash", "can_hash_without_floats", "md5",
]  # fmt: skip

try:  # Python's own takes 0.6 of the time of OpenSSL's for texts of 100 bytes
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:  # some Pythons are built without it
    md5 = partial(hashlib.md5, usedforsecurity=False)

BLOCK_BYTES = 1 << 20  # of lines that share a hash
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
        self._rows = 0
        self._halves = _Halves()
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
        self._halves.add([md5(line).digest() for line in lines])
        self._rows += len(lines)

    @property
    def digest(self) -> Digest | None:
        """The digest; None if a line had a tab within a value."""
        if not self._is_exact:
            return None
        return Digest(self._rows, self._halves.first, self._halves.second)

    @property
    def hashed(self) -> Hashed | None:
        found = self.digest
        return Hashed(found) if found else None


class BlockDigest:
    """The same with a hash for many lines at once, which takes a fifth of the time on this side,
    and half of it on the target. Only for lines in the order of a column of whole numbers, whose
    ranges tell the target which rows a block has.

    `place` is the column's position. If the numbers do not ascend from block to block, there is no
    digest; within a block they are not looked at.
    """

    def __init__(self, place: int, by: str) -> None:
        self._place, self._by = place, by
        self._lows: list[int] = []
        self._rows: list[int] = []
        self._halves = _Halves()
        self._is_exact = True
        self._open = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def add(self, block: bytes) -> None:
        """A block of whole lines, at least one."""
        # COPY refuses lines with fields too many, so tabs need not be counted: 0.2 s per 1M rows
        if not self._is_exact or _is_escaped(block):
            self._is_exact = False
            return
        if not self._size or self._size + len(block) > BLOCK_BYTES:
            self._close()
            low = int(block[: block.index(b"\n")].split(b"\t")[self._place])
            if self._lows and low <= self._lows[-1]:
                self._is_exact = False
                return
            self._lows.append(low)
            self._rows.append(0)
        self._open.update(block)
        self._rows[-1] += block.count(b"\n")
        self._size += len(block)

    def _close(self) -> None:
        if self._size:
            self._halves.add([self._open.digest()])
            self._open = hashlib.md5(usedforsecurity=False)
            self._size = 0

    @property
    def hashed(self) -> Hashed | None:
        """None if a text was escaped, or blocks were in another order."""
        if not self._is_exact:
            return None
        self._close()
        digest = Digest(sum(self._rows), self._halves.first, self._halves.second)
        return Hashed(digest, self._by, tuple(self._lows), tuple(self._rows))


class _Halves:
    """The sums of both halves of hashes."""

    def __init__(self) -> None:
        self.first = self.second = 0

    def add(self, hashes: Sequence[bytes]) -> None:
        halves = array("q", b"".join(hashes))
        if byteorder == "little":
            halves.byteswap()
        self.first += sum(halves[0::2])
        self.second += sum(halves[1::2])


def _is_escaped(block: bytes) -> bool:
    """Also true for a text with a backslash, as it is doubled before an N."""
    return b"\\" in block and block.count(b"\\") != block.count(rb"\N")
