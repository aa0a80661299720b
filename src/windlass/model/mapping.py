"""How the rows of a relation become those of the target's: decided once, when the plan is made.

Both the copy and the comparison use it, and see the source through it.
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
    how: str = ""  # for people: "hash", "null", "value", "sql", "function", "target-sql"; empty:
    # the source's value
    function: str = ""  # of Python, which replaces what is read
    finish: str = ""  # SQL of the target over the columns that arrive

    @property
    def is_changed(self) -> bool:
        """Whether its values differ from the source's."""
        return bool(self.expression)

    @property
    def made_by(self) -> str:
        """How its values are made, for people; empty if they are the source's."""
        return self.function or self.finish or self.expression

    @property
    def is_late(self) -> bool:
        """Whether the source cannot compute its values: they are made after it was read."""
        return bool(self.function or self.finish)


@dataclass(frozen=True, slots=True)
class Mapping:
    """`into` is the relation's new name, in a schema that may itself be renamed. `given` are the
    source's columns as they were when the plan was made."""

    relation: Name
    into: Name
    columns: tuple[MappedColumn, ...]
    given: tuple[Column, ...]
    where: str = ""  # a condition in the source's SQL
    hash_key: str = ""  # identifies the key, if a column is hashed, and does not disclose it
    frame: str = ""  # what functions take and return, if there are any
    batch_rows: int = 0  # the most rows that they get at once
    samples: int = 0  # rows that people want to see in the plan

    @property
    def is_late(self) -> bool:
        """Whether values are made after the source was read."""
        return any(one.is_late for one in self.columns)

    @property
    def late(self) -> set[str]:
        """Columns of the source whose successors are made after it was read."""
        names = self.names
        return {old for old, new in names.items() if self.column(new).is_late}

    @property
    def functions(self) -> dict[str, list[str]]:
        """Functions of Python, and the columns that each of them makes."""
        found: dict[str, list[str]] = {}
        for one in self.columns:
            if one.function:
                found.setdefault(one.function, []).append(one.target)
        return found

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
        arrives twice, its successor is the one that keeps its value, or else the one that keeps its
        name."""
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
