"""How the command line spells words in messages and hints: as options."""

from __future__ import annotations

import re

from windlass.flows.registry import entries_of, spec_flows
from windlass.model.wording import PASSWORD

_FLAGS = {entry.word: entry.flag for flow in spec_flows() for entry in entries_of(flow).values()}


def as_option(name: str, value: str) -> str:
    """``--existing replace``."""
    if name == PASSWORD:
        return "PGPASSWORD, the password file or the URL"
    flag = _FLAGS.get(name, f"--{name}")
    return f"{flag} {_quoted(value)}" if value else flag


def _quoted(value: str) -> str:
    """Quoted for a shell, except plain words."""
    if re.fullmatch(r"[\w-]+", value):
        return value
    inner = value.replace("'", "'\"'\"'")
    return f"'{inner}'"
