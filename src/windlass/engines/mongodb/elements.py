"""The elements of a BSON document, by position. Decides nothing about values.

The format: bsonspec.org, version 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct

int32, int64 = Struct("<i"), Struct("<q")

KINDS = {
    0x01: "double", 0x02: "string", 0x03: "document", 0x04: "array", 0x05: "binary",
    0x06: "undefined", 0x07: "objectId", 0x08: "bool", 0x09: "date", 0x0A: "null",
    0x0B: "regex", 0x0C: "dbPointer", 0x0D: "javascript", 0x0E: "symbol",
    0x0F: "javascriptWithScope", 0x10: "int", 0x11: "timestamp", 0x12: "long",
    0x13: "decimal", 0xFF: "minKey", 0x7F: "maxKey",
}  # fmt: skip
DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
OBJECT_ID, BOOL, DATE, NULL, SYMBOL, INT, LONG, DECIMAL = (
    0x07, 0x08, 0x09, 0x0A, 0x0E, 0x10, 0x12, 0x13,
)  # fmt: skip
_FIXED = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16,
    0x7F: 0, 0xFF: 0,
}  # fmt: skip
_COUNTED = {  # bytes in addition to those that are counted
    0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0C: 16, 0x0D: 4, 0x0E: 4, 0x0F: 0,
}  # fmt: skip
_LEAST_DOCUMENT = 5


class Unfit(ValueError):
    """A document that `jsonb` cannot hold. The text says why, without showing values."""


def documents(batch: bytes) -> Iterator[bytes]:
    """One after the other, as a batch of a cursor has them."""
    at = 0
    while at < len(batch):
        (size,) = int32.unpack_from(batch, at)
        yield batch[at : at + size]
        at += size


def end_of(data: bytes, kind: int, at: int) -> int:
    """Where a value that begins at `at` ends.

    Raises:
        Unfit: there is no such kind.
    """
    if (size := _FIXED.get(kind)) is not None:
        return at + size
    if (beside := _COUNTED.get(kind)) is not None:
        return at + int(int32.unpack_from(data, at)[0]) + beside
    if kind == 0x0B:  # a regular expression: pattern and options
        return data.index(b"\0", data.index(b"\0", at) + 1) + 1
    raise Unfit(f"a value of the unknown kind {kind:#x}")


def elements(data: bytes, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Key, kind and position of each value of the document that begins at `at`."""
    stop = at + int(int32.unpack_from(data, at)[0]) - 1
    at += 4
    while at < stop:
        kind = data[at]
        end = data.index(b"\0", at + 1)
        yield data[at + 1 : end], kind, end + 1
        at = end_of(data, kind, end + 1)


class NoDocument(ValueError):
    """A path goes through a value that is neither a document nor null."""

    def __init__(self, kind: int) -> None:
        super().__init__(kind)
        self.kind = kind


def find(data: bytes, path: Sequence[bytes]) -> tuple[int, int] | None:
    """Kind and position of the value at a path; None if it does not exist. If a key is doubled, the
    last one counts.

    Raises:
        NoDocument: the path goes through something else.
    """
    kind, at = DOCUMENT, 0
    for name in path:
        if kind == NULL:
            return None
        if kind != DOCUMENT:
            raise NoDocument(kind)
        found = None
        for key, of, place in elements(data, at):
            if key == name:
                found = of, place
        if found is None:
            return None
        kind, at = found
    return kind, at
