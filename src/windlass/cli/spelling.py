"""How the command line spells the words in messages and hints: as its options."""

from __future__ import annotations

import re

from windlass.model.wording import PASSWORD
from windlass.spec.fields.flows import ENTRIES

_FLAGS = {entry.word: entry.flag for flow in ENTRIES.values() for entry in flow.values()}


def as_option(name: str, value: str) -> str:
    """``--existing replace``."""
    if name == PASSWORD:
        return "PGPASSWORD, the password file or the URL"
    flag = _FLAGS.get(name, f"--{name}")
    return f"{flag} {_quoted(value)}" if value else flag


def _quoted(value: str) -> str:
    """For a shell: all but plain words."""
    if re.fullmatch(r"[\w-]+", value):
        return value
    inner = value.replace("'", "'\"'\"'")
    return f"'{inner}'"
