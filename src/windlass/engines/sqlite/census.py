"""Counts the storage classes of a column's values. SQLite allows any value in any column, so a
column's type is known only after reading all its values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from windlass.engines.statements import each, names, statement, verbatim

# SQLite allows 2,000 result columns in a statement; each column of a relation needs eight
_COLUMNS_AT_ONCE = 200
_COUNTS = (
    "sum(typeof({0}) = 'integer'), sum(typeof({0}) = 'real'), sum(typeof({0}) = 'text'),"
    " sum(typeof({0}) = 'blob'), min(case typeof({0}) when 'integer' then {0} end),"
    " max(case typeof({0}) when 'integer' then {0} end), max(length(cast({0} as blob))),"
    " sum(length(cast({0} as blob)))"
)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of a column's values have which storage class. NULLs are not counted."""

    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    lowest: int = 0  # of the integers
    highest: int = 0
    longest_bytes: int = 0
    bytes: int = 0  # of all values, as text

    @property
    def classes(self) -> dict[str, int]:
        counts = {
            "integer": self.integers,
            "real": self.reals,
            "text": self.texts,
            "blob": self.blobs,
        }
        return {name: count for name, count in counts.items() if count}


def take_census(
    connection: sqlite3.Connection, item: str, columns: Sequence[str]
) -> tuple[int, list[Counts]]:
    """The number of rows of a FROM item and the counts of each column, in one scan."""
    found: list[Counts] = []
    rows = 0
    for some in _portions(columns):
        counted = each(_COUNTS, [names(column) for column in some])
        query = statement(
            "select count(*), {counted} from {item}", counted=counted, item=verbatim(item)
        )
        rows, *counts = connection.execute(query).fetchone()
        numbers = [int(count or 0) for count in counts]
        found += [Counts(*numbers[at : at + 8]) for at in range(0, len(numbers), 8)]
    return rows, found


def _portions(columns: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        yield columns[start : start + _COLUMNS_AT_ONCE]
