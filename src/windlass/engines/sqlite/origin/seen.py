"""What a scan of all rows has found about a table's columns, so that their texts can be made
faster. Valid only in the snapshot of the scan."""

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
    """Columns that were not scanned: any of them may have any value."""
    names = frozenset(columns)
    return Seen(names, names, names, names, names, names)
