"""Our unit of copying and of retrying: a relation, or a range of it."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Whole:
    """Every row."""

    def __str__(self) -> str:
        return "all rows"


@dataclass(frozen=True, slots=True)
class BlockRange:
    """Half-open range of heap blocks: ``low <= block < high``. `high` None means to the end."""

    low: int
    high: int | None

    def __str__(self) -> str:
        return f"blocks {self.low} to {'the end' if self.high is None else self.high}"


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Half-open range of key tuples: ``low <= key < high``. None means unbounded.

    Bounds are the text forms of the key's columns (exact for every type, and JSON-able);
    the server casts them back.
    """

    key: tuple[str, ...]
    low: tuple[str, ...] | None
    high: tuple[str, ...] | None

    def __str__(self) -> str:
        low = "the start" if self.low is None else ", ".join(self.low)
        high = "the end" if self.high is None else ", ".join(self.high)
        return f"{', '.join(self.key)} from {low} to {high}"


@dataclass(frozen=True, slots=True)
class NullKeys:
    """The rows in no key range: those with a NULL in any key column."""

    key: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.key)} is null"


Range = Whole | BlockRange | KeyRange | NullKeys


@dataclass(frozen=True, slots=True)
class Chunk:
    relation: Name  # on the source
    number: int
    range: Range
    size_bytes: int

    @property
    def id(self) -> str:
        return f"{self.relation}/{self.number}"
