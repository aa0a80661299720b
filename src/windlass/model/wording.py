"""Words of a spec, and other options of a command, in messages and hints.

Inside a text a word is data: each shell spells it its own way, ``--existing replace`` on the
command line, ``existing='replace'`` in Python, and in a form of Airflow the name of its field. What
no shell has spelled still reads well: ‹existing=replace›.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar, cast

Spelling = Callable[[str, str], str]  # of a word, and of its value: "" for none

# The separator is seen by nobody, and keeps ‹› in a name from being taken for a word.
_OPEN, _CLOSE = "\u2039\u2063", "\u2063\u203a"
_SPACE = "\u00a0"  # inside of a value, so that no line breaks there
_WORD = re.compile(f"{_OPEN}([a-z-]+)(?:=(.*?))?{_CLOSE}", re.DOTALL)

# Where a password is looked for; not a word of the spec, and every shell has its own places.
PASSWORD = "password"

T = TypeVar("T")


def word(name: str, value: str = "") -> str:
    """A word as it is inside of a text, with a value if it is to have one."""
    given = f"={value.replace(' ', _SPACE)}" if value else ""
    return f"{_OPEN}{name}{given}{_CLOSE}"


def as_keyword(name: str, value: str) -> str:
    """As Python has it."""
    if name == PASSWORD:
        return "PGPASSWORD, the password file or the URL"
    key = name.replace("-", "_")
    return f"{key}={value!r}" if value else key


def spelled(text: str, spelling: Spelling = as_keyword) -> str:
    """The text as people read it."""
    return _WORD.sub(lambda one: spelling(one[1], (one[2] or "").replace(_SPACE, " ")), text)


def all_spelled(value: T, spelling: Spelling) -> T:
    """The same for every text in plain data, as JSON has it."""
    if isinstance(value, str):
        return cast(T, spelled(value, spelling))
    if isinstance(value, dict):
        return cast(T, {key: all_spelled(one, spelling) for key, one in value.items()})
    if isinstance(value, list | tuple):
        return cast(T, type(value)(all_spelled(one, spelling) for one in value))
    return value
