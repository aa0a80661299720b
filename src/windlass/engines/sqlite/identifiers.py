"""Rewrites names in a user's SQL with quotes that can only mean a name.

SQLite reads ``"typo"`` as the text 'typo' if there is no such column
(https://www.sqlite.org/quirks.html, "Double-quoted String Literals Are Accepted"), so a condition
with a typo selects nothing, or everything. A word in backticks is always a name.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'      # a text
    | "((?:[^"]|"")*)"      # a name, or a text by accident
    | `(?:[^`]|``)*`        # a name
    | \[[^\]]*\]            # a name
    | --[^\n]*              # comments
    | /\*.*?(?:\*/|$)""",
    re.VERBOSE | re.DOTALL,
)


def strictly_named(text: str) -> str:
    """The same SQL, with backticks in place of double quotes."""
    return _TOKEN.sub(_in_backticks, text)


def _in_backticks(token: re.Match[str]) -> str:
    if token[1] is None:
        return token[0]
    name = token[1].replace('""', '"').replace("`", "``")
    return f"`{name}`"
