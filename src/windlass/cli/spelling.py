"""How the command line spells the words in messages and hints: as its options."""

from __future__ import annotations

import shlex

from windlass.model.wording import PASSWORD
from windlass.spec.fields.flows import ENTRIES

_FLAGS = {entry.word: entry.flag for flow in ENTRIES.values() for entry in flow.values()}


def as_option(name: str, value: str) -> str:
    """``--existing replace``."""
    if name == PASSWORD:
        return "PGPASSWORD, the password file or the URL"
    flag = _FLAGS.get(name, f"--{name}")
    return f"{flag} {shlex.quote(value)}" if value else flag
