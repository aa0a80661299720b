"""Facts of runs and plans, as names and values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.model.units import plural

LONGEST_VALUE = 80  # a longer value is folded


@dataclass(frozen=True, slots=True)
class Fact:
    word: str
    meaning: str
    note: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """`value` on a line; `whole` if it needs several."""

    word: str
    value: str
    whole: str = ""


def options_of(options: Mapping[str, Any]) -> list[Option]:
    """The options that were given, named as in a spec file; an empty section gives none."""
    return [_option(word, value) for word, value in options.items() if value != {}]


def _option(word: str, value: Any) -> Option:
    if isinstance(value, bool):
        return Option(word, "yes" if value else "no")
    if isinstance(value, list) and not any(isinstance(one, list | dict) for one in value):
        text = ", ".join(map(str, value))
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    if len(text) <= LONGEST_VALUE and "\n" not in text:
        return Option(word, text)
    structured = isinstance(value, list | dict)
    whole = json.dumps(value, indent=2, ensure_ascii=False) if structured else text
    brief = plural(len(value), "entry", "entries") if structured else f"{len(text):,} characters"
    return Option(word, brief, whole)


def versions_of(by: Mapping[str, Any], source: str, target: str) -> list[Fact]:
    return list(_versions(by, source, target))


def _versions(by: Mapping[str, Any], source: str, target: str) -> Iterator[Fact]:
    if by.get("version"):
        yield Fact("Windlass", by["version"])
    if by.get("python"):
        yield Fact("Python", by["python"], f"on {by['system']}" if by.get("system") else "")
    for side, name in (("Source", source), ("Target", target)):
        server = name.rpartition(" (")[2].rstrip(")") if " (" in name else ""
        if server:
            yield Fact(side, server)
