"""What a scan of all rows has seen of a table's columns, by which their texts are made faster. It
holds in the snapshot of the scan only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_ALL: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Seen:
    """Columns by name."""

    special: frozenset[str] = _ALL  # with a character that COPY escapes
    nullable: frozenset[str] = _ALL  # with NULL
    odd: frozenset[str] = _ALL  # with a value that `printf` does not write exactly
    fractional: frozenset[str] = _ALL  # with one that hexadecimal digits do not write exactly
    small: frozenset[str] = _ALL  # with one that has more than 60 binary digits
    negative: frozenset[str] = _ALL  # with a number below zero


def unseen(columns: Iterable[str]) -> Seen:
    """Anything may be in any of them."""
    names = frozenset(columns)
    return Seen(names, names, names, names, names, names)
