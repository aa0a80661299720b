"""Changes of structure, each of another kind with its own object, for a comparison to find.

All of them are made in one database and changed in another, so that one comparison has to name
every one of them, and nothing else. `plants.sql` has them.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("plants.sql")
_KIND = re.compile(r"^--- ([\w ]+?)(?: \(since (\d+)\))?: (.+)\n((?:.|\n)*?)^--- changed\n", re.M)


@dataclass(frozen=True, slots=True)
class Plant:
    kind: str
    made: str
    change: str
    objects: tuple[str, ...]
    since: int


def plants(version: int) -> list[Plant]:
    """Those that servers of this version and newer ones have."""
    text = _FILE.read_text()
    heads = list(_KIND.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = [
        Plant(
            kind=head[1],
            made=head[4],
            change=text[head.end() : end],
            objects=tuple(head[3].split(" | ")),
            since=int(head[2] or 12),
        )
        for head, end in zip(heads, ends, strict=True)
    ]
    return [one for one in found if one.since <= version]


def listed() -> str:
    """The kinds as docs/what-is-compared.md lists them."""
    return "\n".join(textwrap.wrap(", ".join(one.kind for one in plants(99)) + ".", 100))
