"""Blocks of bytes in any encoding as UTF-8, without a byte order mark. Bytes that are invalid in
the encoding become bytes that are invalid in UTF-8, so that whoever knows the record reports
them."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from windlass.errors import WindlassError

_BOM = "\ufeff"
_MARK = "\udcff"  # no encoding of text has it
_ORDERED = {"utf-16": (b"\xff\xfe", b"\xfe\xff"), "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff")}


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARK, error.end


codecs.register_error("windlass.marked", _marked)


def encoding_name(given: str) -> str:
    """Python's name for it.

    Raises:
        WindlassError: there is no such encoding of text.
    """
    try:
        found = codecs.lookup(given)
        "".encode(given)
    except (LookupError, ValueError) as error:
        raise WindlassError(
            f"encoding: {given!r} is not known", hint="utf-8, utf-16, latin-1 or cp1252"
        ) from error
    return found.name


def as_utf8(blocks: Iterable[bytes], encoding: str, place: str) -> Iterator[bytes]:
    """The blocks in UTF-8; none is empty."""
    name = encoding_name(encoding)
    if name in ("utf-8", "utf-8-sig"):
        yield from _without_mark(blocks)
        return
    decoder = codecs.getincrementaldecoder(name)("windlass.marked")
    is_first = True
    for block in _from_mark(blocks, name, place) if name in _ORDERED else blocks:
        text = decoder.decode(block)
        if is_first and text:
            text, is_first = text.removeprefix(_BOM), False
        if text:
            yield text.encode("utf-8", "surrogatepass")
    if text := decoder.decode(b"", final=True):
        yield text.encode("utf-8", "surrogatepass")


def _without_mark(blocks: Iterable[bytes]) -> Iterator[bytes]:
    start = b""
    blocks = iter(blocks)
    for block in blocks:
        start += block
        if len(start) >= len(codecs.BOM_UTF8):
            break
    if start := start.removeprefix(codecs.BOM_UTF8):
        yield start
    yield from blocks


def _from_mark(blocks: Iterable[bytes], name: str, place: str) -> Iterator[bytes]:
    """The blocks, whose byte order mark is required: without one, Python would use this machine's
    byte order."""
    start = b""
    blocks = iter(blocks)
    for block in blocks:
        start += block
        if len(start) >= 4:
            break
    if start and not start.startswith(_ORDERED[name]):
        raise WindlassError(
            f"{place}: has no byte order mark",
            hint=f"name the order of bytes: {name}-le or {name}-be",
            side="source",
        )
    yield start
    yield from blocks


def without_lines(blocks: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """The blocks without the first `lines` lines, which may contain quotes."""
    for block in blocks:
        at = 0
        while lines and (end := block.find(b"\n", at)) >= 0:
            at, lines = end + 1, lines - 1
        if not lines and at < len(block):
            yield block[at:]
