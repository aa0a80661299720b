"""Objects of a JSON file as blocks of whole lines, one object in each line that is not blank.

Objects in an array, and objects that span lines, are each put on a separate line.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from windlass.errors import BadRecord
from windlass.model.load import BadValue

BLOCK_BYTES = 1 << 20
MOST_RECORD_BYTES = 128 << 20
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Block:
    """Objects, one per line. `lines` are the lines of the file where they begin; None if each line
    of the block is a line of the file, starting with `first`."""

    data: bytes
    first: int
    lines: tuple[int, ...] | None = None


def lines_of(blocks: Iterable[bytes], place: str) -> Iterator[Block]:
    """Of a file of JSON lines."""
    rest, line = b"", 1
    pieces: list[bytes] = []
    size = 0
    for block in chain(_divided(blocks), [b""]):
        cut = block.rfind(b"\n") + 1 if block else 0
        if block and not cut:
            pieces.append(block)
            size += len(block)
            if size > MOST_RECORD_BYTES:
                raise _bad(place, line, f"longer than {MOST_RECORD_BYTES >> 20} MB")
            continue
        rest = b"".join([*pieces, block[:cut]])
        pieces, size = [block[cut:]], len(block) - cut
        if rest:
            yield Block(rest, line)
            line += rest.count(b"\n")


def _divided(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Split a block: a Python object takes many times the bytes that it has in the file."""
    for block in blocks:
        for at in range(0, len(block), BLOCK_BYTES):
            yield block[at : at + BLOCK_BYTES]


def objects_of(blocks: Iterable[bytes], place: str) -> Iterator[Block]:
    """Of a file that is an array of objects, or has objects one after another."""
    scan = _Scan(place)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in chain(_divided(blocks), [b""]):
        scan.text += decoder.decode(block, not block)
        found = list(scan.objects(final=not block))
        if found:
            data = "\n".join(text for text, _ in found).encode("utf-8", "surrogateescape")
            lines = tuple(line for _, line in found)
            yield Block(data, lines[0], lines)
    scan.check_end()


class _Scan:
    """The position in the file."""

    def __init__(self, place: str) -> None:
        self.text = ""
        self._place, self._line = place, 1
        self._in_array: bool | None = None  # None until the beginning is read
        self._ended = False
        self._after_value = False
        self._wanted = 0
        self._decode = json.JSONDecoder().raw_decode

    def objects(self, *, final: bool) -> Iterator[tuple[str, int]]:
        if len(self.text) < self._wanted and not final:
            return
        self._wanted = 0
        at = 0
        while True:
            start = self._skip(at)
            at = self._advance(at, start)
            if at >= len(self.text):
                break
            moved = self._punctuation(at)
            if moved != at:
                at = moved
                continue
            end = self._end(at, final=final)
            if end is None:
                self._wanted = 2 * (len(self.text) - at)
                break
            yield self._on_a_line(self.text[at:end]), self._line
            at = self._advance(at, end)
            self._after_value = True
        self.text = self.text[at:]

    def check_end(self) -> None:
        if self._in_array and not self._ended:
            raise _bad(self._place, self._line, "the array is not closed")

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _advance(self, at: int, to: int) -> int:
        self._line += self.text.count("\n", at, to)
        return to

    def _punctuation(self, at: int) -> int:
        """The position after a bracket or comma that is allowed here; `at` if an object begins
        here."""
        letter = self.text[at]
        if self._in_array is None:
            self._in_array = letter == "["
            return at + 1 if self._in_array else at
        if self._ended:
            raise _bad(self._place, self._line, "something follows the array")
        if self._in_array:
            if letter == "]" and (self._after_value or not self._begun):
                self._ended = True
                return at + 1
            if self._after_value:
                if letter != ",":
                    raise _bad(self._place, self._line, "a comma is missing between two objects")
                self._after_value = False
                self._begun = True
                return at + 1
        return at

    _begun = False

    def _end(self, at: int, *, final: bool) -> int | None:
        if self.text[at] != "{":
            raise _bad(self._place, self._line, "not an object")
        try:
            return self._decode(self.text, at)[1]
        except (json.JSONDecodeError, RecursionError) as error:
            if not final and len(self.text) - at < MOST_RECORD_BYTES:
                return None
            line = self._line
            if isinstance(error, json.JSONDecodeError):
                reason = f"not valid JSON: {error.msg}"
            else:
                reason = "nested too deeply"
            raise _bad(self._place, line, reason) from None

    @staticmethod
    def _on_a_line(text: str) -> str:
        """The object on one line. JSON strings contain no line breaks, and outside of strings they
        have no meaning."""
        return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


def _bad(place: str, line: int, reason: str) -> BadRecord:
    return BadRecord([BadValue(place, 0, reason, line)])
