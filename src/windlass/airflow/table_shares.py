"""Divides the tables of a pair that follows into shares, which are compared by one task each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.airflow.shares import count_shares, divide
from windlass.model.flow import Item

MOST_SHARES = 16
# such a name is a pattern that matches only this table
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\.[a-z_][a-z0-9_$]*")


def shares_of(
    relations: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The shares. The last one is everything that the others leave out, so it includes tables that
    no pattern names exactly."""
    words = dict(spec)
    groups = _groups(relations)
    size = {name: sum(int(one["bytes"]) for one in some) for name, some in groups.items()}
    items = [Item(name, cost=size[name]) for name in sorted(groups, key=size.__getitem__)[::-1]]
    count = count_shares(items, 1, MOST_SHARES) if items else 1
    if count == 1:
        return [{"name": "all tables", "spec": words}]
    *shares, last = divide(items, count)
    found, taken = [], list[str]()
    for share in shares:
        patterns = [name for root in share["items"] for name in _patterns(root, groups[root])]
        if patterns:
            found.append({"name": share["name"], "spec": {**words, "include": patterns}})
            taken += patterns
    left = {**words, "exclude": [*_listed(words.get("exclude")), *taken]}
    return [*found, {"name": last["name"], "spec": left}]


def _listed(value: Any) -> Iterator[str]:
    yield from [value] if isinstance(value, str) else value or ()


def _groups(relations: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Tables that must be compared together: partitions are compared with the table that they
    belong to."""
    above = {one["source"]: one.get("partition_of") for one in relations}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in relations:
        root = one["source"]
        while above.get(root):
            root = above[root]
        found.setdefault(str(root), []).append(one)
    return found


def _patterns(root: str, relations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Patterns that match exactly these tables; empty if a name cannot be written as a pattern."""
    names = dict.fromkeys([root, *(str(one["source"]) for one in relations)])
    return list(names) if all(map(_PLAIN.fullmatch, names)) else []
