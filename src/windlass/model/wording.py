"""Options of a spec or command in messages and hints.

In a text an option is data: each shell spells it in its own way, ``--existing replace`` on the
command line, ``existing='replace'`` in Python, and the field's name in an Airflow form. Without a
shell it still reads well: ‹existing=replace›.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar, cast

Spelling = Callable[[str, str], str]  # of a word, and of its value: "" for none

# The separator is invisible, and prevents ‹› in a name from being read as an option.
_OPEN, _CLOSE = "\u2039\u2063", "\u2063\u203a"
_SPACE = "\u00a0"  # inside a value, to keep it on one line
_WORD = re.compile(f"{_OPEN}([a-z-]+)(?:=(.*?))?{_CLOSE}", re.DOTALL)

# Where passwords come from; not an option of the spec, and different for every shell.
PASSWORD = "password"

T = TypeVar("T")


def word(name: str, value: str = "") -> str:
    """An option as written inside a text, optionally with a value."""
    given = f"={value.replace(' ', _SPACE)}" if value else ""
    return f"{_OPEN}{name}{given}{_CLOSE}"


def as_keyword(name: str, value: str) -> str:
    """As a Python keyword argument."""
    if name == PASSWORD:
        return "PGPASSWORD, the password file or the URL"
    key = name.replace("-", "_")
    return f"{key}={value!r}" if value else key


def spelled(text: str, spelling: Spelling = as_keyword) -> str:
    """The text with its options spelled."""
    return _WORD.sub(lambda one: spelling(one[1], (one[2] or "").replace(_SPACE, " ")), text)


def all_spelled(value: T, spelling: Spelling) -> T:
    """The same for every text in plain JSON data."""
    if isinstance(value, str):
        return cast(T, spelled(value, spelling))
    if isinstance(value, dict):
        return cast(T, {key: all_spelled(one, spelling) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return cast(T, type(value)(all_spelled(one, spelling) for one in value))
    return value
