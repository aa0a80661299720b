"""How the command line spells words in messages and hints: as options."""

from __future__ import annotations

import re
from functools import cache

from windlass.model.wording import PASSWORD


@cache
def _flags() -> dict[str, str]:
    """Every word's option. It needs the entries of all flows, which only a message is worth."""
    from windlass.flows.registry import entries_of, spec_flows

    return {entry.word: entry.flag for flow in spec_flows() for entry in entries_of(flow).values()}


def as_option(name: str, value: str) -> str:
    """``--existing replace``."""
    if name == PASSWORD:
        return "PGPASSWORD, the password file or the URL"
    flag = _flags().get(name, f"--{name}")
    return f"{flag} {_quoted(value)}" if value else flag


def _quoted(value: str) -> str:
    """Quoted for a shell, except plain words."""
    if re.fullmatch(r"[\w-]+", value):
        return value
    inner = value.replace("'", "'\"'\"'")
    return f"'{inner}'"
