"""Names of tables and columns, as Snowflake stores them and as people write them. Pure.

Snowflake reads a name without quotes in upper case. So a plain name in lower case is stored in
upper case, and people find ``orders`` as ``orders``; any other name is stored as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from psycopg import sql

from windlass.engines.statements import names

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def stored(name: str) -> str:
    return name.upper() if _PLAIN.fullmatch(name) else name


def shown(name: str) -> str:
    """A stored name as people write it: with quotes where it needs them because of its case."""
    if name == name.upper() and _PLAIN.fullmatch(name.lower()):
        return name.lower()
    return f'"{name}"' if _PLAIN.fullmatch(name) else name


def named(name: str) -> sql.Identifier:
    """The quoted name of what is stored under this name."""
    return names(stored(name))


def alike(name: str, there: Iterable[str]) -> str:
    """A stored name that differs by case only. Empty: none does, or the name itself exists."""
    found = list(there)
    if stored(name) in found:
        return ""
    return next((one for one in found if one.casefold() == name.casefold()), "")
