"""Displays text from a database safely: it never breaks out of its line.

A name, a comment or an error's detail may hold anything: line breaks that forge the next line,
escape sequences that a terminal obeys, marks that change the text direction.
"""

from __future__ import annotations

import re

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_LINES = [0x2028, 0x2029]
_DIRECTIONS = [0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_OTHERS = [0x200B, 0x2060, 0xFEFF]  # invisible


def _escape(letter: int) -> str:
    named = {0x09: r"\t", 0x0A: r"\n", 0x0D: r"\r"}
    return named.get(letter) or (f"\\x{letter:02x}" if letter < 0x100 else f"\\u{letter:04x}")


_ESCAPES = {one: _escape(one) for one in (*_CONTROLS, *_LINES, *_DIRECTIONS, *_OTHERS)}
_KEPT = {ord("\n"), ord("\t")}
_LINES_KEPT = {one: escape for one, escape in _ESCAPES.items() if one not in _KEPT}
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")
_BEYOND_JSON = re.compile("[{}]".format("".join(chr(one) for one in _ESCAPES if one > 0x1F)))


def one_line(text: str) -> str:
    """Escapes characters that would end the line or move a terminal's cursor: ``\\n``,
    ``\\x1b``."""
    return text.translate(_ESCAPES)


def first_line(error: BaseException, text: str = "") -> str:
    """The first line of `text`, or of the error's own text without it; the name of the error's type
    if there is none."""
    lines = (text or str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def in_lines(text: str) -> str:
    """As `one_line`, for text that has several lines: a definition in SQL."""
    return text.translate(_LINES_KEPT)


def coloured(text: str) -> str:
    """As `in_lines`, for our own text with colours: only our colour codes reach the terminal."""
    return "".join(
        part if at % 2 else in_lines(part) for at, part in enumerate(_COLOUR.split(text))
    )


def json_text(text: str) -> str:
    """JSON that also escapes what `one_line` does, beyond what JSON requires."""
    return _BEYOND_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
