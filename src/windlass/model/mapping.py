"""How the rows of a relation become those of the target's: decided once, when the plan is made.

What copies the rows reads it, and what compares them: both see the source through it.
"""

from __future__ import annotations

from dataclasses import dataclass

from windlass.model.relation import Column, Name


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """A column as it is read. `expression` is SQL of the source over its columns; empty: the column
    `source` as it is."""

    target: str
    type: str = ""  # on the target
    source: str = ""  # what it is made of, if that is one column
    expression: str = ""
    how: str = ""  # for people: "hash", "null", "value", "sql"; empty: the source's value

    @property
    def is_changed(self) -> bool:
        """Whether its values are others than the source's."""
        return bool(self.expression)


@dataclass(frozen=True, slots=True)
class Mapping:
    """`into` is the relation's new name, in a schema that may itself get another one. `given` are
    the source's columns as they were when the plan was made."""

    relation: Name
    into: Name
    columns: tuple[MappedColumn, ...]
    given: tuple[Column, ...]
    where: str = ""  # a condition in the source's SQL
    hash_key: str = ""  # identifies the key, if a column is hashed, and does not disclose it

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns of which nothing arrives."""
        used = {one.source for one in self.columns}
        return tuple(one.name for one in self.given if one.name not in used)

    def column(self, target: str) -> MappedColumn:
        return next(one for one in self.columns if one.target == target)

    @property
    def names(self) -> dict[str, str]:
        """Names on the target by the source's, of every column that has a successor. Where a column
        arrives twice, the one that keeps its value, then its name, succeeds it."""
        best: dict[str, MappedColumn] = {}
        for one in self.columns:
            if one.source and (one.source not in best or _rank(one) > _rank(best[one.source])):
                best[one.source] = one
        return {source: one.target for source, one in best.items()}

    @property
    def changed(self) -> set[str]:
        """Columns of the source whose successors have other values."""
        names = self.names
        return {old for old, new in names.items() if self.column(new).is_changed}


def _rank(one: MappedColumn) -> tuple[bool, bool]:
    return not one.is_changed, one.target == one.source
