"""Shell patterns on names, as users write them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from windlass.model.relation import Name


def matches(name: Name, pattern: str) -> bool:
    """Match a shell pattern against ``schema.relation``; one without a dot against the name
    alone."""
    return fnmatchcase(name.plain if "." in pattern else name.name, pattern)


def matches_column(relation: str, column: str, pattern: str) -> bool:
    """Match a shell pattern against ``schema.relation.column`` or its end; one without a dot is
    matched against the column's name alone."""
    if "." not in pattern:
        return fnmatchcase(column, pattern)
    whole = f"{relation}.{column}"
    return fnmatchcase(whole, pattern) or fnmatchcase(whole, f"*.{pattern}")


def is_matched_last(relation: str, column: str, patterns: Sequence[str]) -> bool:
    """Like the lines of `.gitignore`: the last pattern that matches a column decides, and a pattern
    that begins with ``!`` excludes it again."""
    for pattern in reversed(patterns):
        if matches_column(relation, column, pattern.removeprefix("!")):
            return not pattern.startswith("!")
    return False
