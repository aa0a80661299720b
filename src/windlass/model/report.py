"""What a run tells people: problems, losses, differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run cannot start."""

    object: str  # what it is about: "target", "role app", "shop.orders"
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.object}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Loss:
    """What the target will not have although the source has it."""

    object: str
    message: str

    def __str__(self) -> str:
        return f"{self.object}: {self.message}"


class DifferenceKind(StrEnum):
    SCHEMA = "schema"
    COUNT = "count"
    MISSING = "missing"  # on the source only
    EXTRA = "extra"  # on the target only
    CHANGED = "changed"
    SEQUENCE = "sequence"
    LARGE_OBJECT = "large object"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not equal. `key` and `columns` name, they never show a row's values,
    except the key's own columns where the user asked for values."""

    kind: DifferenceKind
    object: str
    message: str
    key: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    source: dict[str, str | None] | None = None  # values, only when asked for
    target: dict[str, str | None] | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind.value, "columns": list(self.columns)}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Difference:
        words = {"kind": DifferenceKind(json["kind"]), "columns": tuple(json["columns"])}
        return cls(**{**json, **words})

    def __str__(self) -> str:
        place = ", ".join(f"{name} = {value}" for name, value in self.key.items())
        return f"{self.object}{f' ({place})' if place else ''}: {self.message}"
