"""A repair of the target after a comparison: what it may change, and what it would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from windlass.model.outcome import A_COMMAND, StartedBy


class Change(StrEnum):
    """What a repair does to rows of the target."""

    UPDATE = "update"  # whose keys both sides have
    INSERT = "insert"  # that the target lacks
    DELETE = "delete"  # that the source lacks


ALL = frozenset(Change)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a repair would change on the target."""

    source: str
    target: str
    relations: Mapping[str, Counter[Change]]
    digests: Mapping[str, str] = field(default_factory=dict)
    """By relation, a digest of the rows that would change: other rows have another one."""
    sequences: int = 0
    large_objects: int = 0
    stays: tuple[str, ...] = ()  # definitions that differ, which no repair changes

    @property
    def total(self) -> Counter[Change]:
        return sum(self.relations.values(), Counter[Change]())

    def __bool__(self) -> bool:
        return bool(self.total or self.sequences or self.large_objects)


@dataclass(frozen=True, slots=True)
class Repairing:
    """What a repair may do, and how it is confirmed: `confirm` raises to refuse."""

    allowed: Collection[Change] = ALL
    confirm: Callable[[Forecast], None] = field(default=lambda _: None)
    started_by: StartedBy = A_COMMAND
