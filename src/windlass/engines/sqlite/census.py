"""Counts what a column's values are. SQLite lets any value stand in any column, so that a column's
type is known only once all of its values have been looked at."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from windlass.engines.statements import each, names, statement, verbatim

# a statement of SQLite's can have 2,000 result columns; each column of a relation has eight
_COLUMNS_AT_ONCE = 200
_COUNTS = (
    "sum(typeof({0}) = 'integer'), sum(typeof({0}) = 'real'), sum(typeof({0}) = 'text'),"
    " sum(typeof({0}) = 'blob'), min(case typeof({0}) when 'integer' then {0} end),"
    " max(case typeof({0}) when 'integer' then {0} end), max(length(cast({0} as blob))),"
    " sum(length(cast({0} as blob)))"
)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many values of a column are of which storage class. NULLs are of none."""

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
    """The rows of a FROM item, and what each of its columns holds: one scan of everything."""
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
