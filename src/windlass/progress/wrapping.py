"""Wraps long lines at the terminal's width, with a hanging indent."""

from __future__ import annotations

import os
import textwrap
from typing import TextIO

import click

from windlass.model.text import one_line

WIDEST = 120
WHOLE = 1_000_000  # the width where there is no terminal
LEAST = 30


def width_of(stream: TextIO) -> int:
    """The width of the terminal behind a stream."""
    try:
        return min(os.get_terminal_size(stream.fileno()).columns or WIDEST, WIDEST)
    except (OSError, ValueError):
        return WHOLE


def hang(words: str, width: int, head: str = "", indent: int | None = None) -> list[str]:
    """One text as lines: the first after `head`, the others indented, by the width of `head` unless
    `indent` is given. Names are never cut."""
    plain = len(click.unstyle(head))
    rest = " " * (plain if indent is None else indent)
    if width >= WHOLE:
        return [head + one_line(words)]
    lines = textwrap.wrap(
        one_line(words),
        max(width, LEAST + plain),
        initial_indent=" " * plain,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [head + lines[0][plain:], *lines[1:]] if lines else [head.rstrip()]
