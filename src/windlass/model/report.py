"""What a run reports: problems, losses, differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from windlass.model.units import plural
from windlass.model.wording import spelled, word


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run cannot start."""

    object: str  # what it is about: "target", "role app", "shop.orders"
    message: str  # what is wrong with it
    hint: str = ""  # what to do about it

    @property
    def text(self) -> str:
        """The full text, in which a shell spells the options."""
        return f"{self.object}: {self.message}" + (f" ({self.hint})" if self.hint else "")

    def __str__(self) -> str:
        return spelled(self.text)

    def to_json(self) -> dict[str, str]:
        return {"object": self.object, "message": self.message, "hint": self.hint}


class LossClass(StrEnum):
    """What a loss is about, which decides whether a run may continue.

    Losses of the first group are notices. One of the second group stops a plan or, if caused by
    rows, makes a run end as not done, unless the user accepts its class by name.
    """

    OWNERS = "owners"  # an object belongs to somebody else
    GRANTS = "grants"  # a role is not granted what it is granted on the source
    ENCODING = "encoding"  # text is converted
    STORAGE = "storage"  # tablespace, compression, statistics: where and how, never what
    TRIGGERS = "triggers"  # of filled tables, switched off while their rows are loaded
    ROLES = "roles"  # settings in the database of a role that the target lacks
    COMMENTS = "comments"  # of the database

    VALUES = "values"  # rows or values are missing or differ
    CONSTRAINTS = "constraints"  # the target does not enforce what the source enforces
    OBJECTS = "objects"  # an object is missing, or stays as the target has it
    BEHAVIOUR = "behaviour"  # the same statement does something else
    SETTINGS = "settings"  # of the database, and of roles in it
    SECRETS = "secrets"  # passwords, which are neither read nor stored

    @property
    def is_notice(self) -> bool:
        return self in _NOTICES


_NOTICES = {
    LossClass.OWNERS, LossClass.GRANTS, LossClass.ENCODING, LossClass.STORAGE, LossClass.TRIGGERS,
    LossClass.ROLES, LossClass.COMMENTS,
}  # fmt: skip
ACCEPTABLE = tuple(one for one in LossClass if not one.is_notice)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the source has and the target will not."""

    object: str  # what it is about
    message: str  # what is lost
    kind: LossClass  # decides whether it stops a run

    def to_json(self) -> dict[str, str]:
        return {"object": self.object, "message": self.message, "class": self.kind.value}

    @classmethod
    def from_json(cls, json: Mapping[str, str]) -> Loss:
        return cls(json["object"], json["message"], LossClass(json["class"]))

    def __str__(self) -> str:
        return f"{self.object}: {self.message} ({self.kind})"


def count_losses(losses: Sequence[Loss]) -> str:
    """``3 losses (1 of constraints, 2 of owners)``; those that stop a run come first."""
    counts = Counter(loss.kind for loss in losses)
    classes = [one for one in (*ACCEPTABLE, *LossClass) if counts[one]]
    some = ", ".join(f"{counts[one]} of {one}" for one in dict.fromkeys(classes))
    return plural(len(losses), "loss", "losses") + (f" ({some})" if losses else "")


def unaccepted(losses: Iterable[Loss], accept: Collection[str]) -> tuple[Loss, ...]:
    """Those that stop a run, class by class."""
    found = [loss for loss in losses if not loss.kind.is_notice and loss.kind not in accept]
    return tuple(sorted(dict.fromkeys(found), key=lambda loss: ACCEPTABLE.index(loss.kind)))


def accepting(losses: Iterable[Loss]) -> str:
    """The options that accept these."""
    return " ".join(word("accept", kind) for kind in dict.fromkeys(loss.kind for loss in losses))


def loss_problems(losses: Iterable[Loss], accept: Collection[str]) -> tuple[Problem, ...]:
    """Unaccepted losses, as problems that stop a plan."""
    return tuple(
        Problem(loss.object, loss.message, f"{word('accept', loss.kind)} to proceed anyway")
        for loss in unaccepted(losses, accept)
    )


class Differs(StrEnum):
    """Why a relation is not the same on both sides."""

    NOT = ""  # equal
    MISSING = "missing"  # from the target, or without the columns that would hold its rows
    ROWS = "rows"  # their number or content
    DEFINITION = "definition"  # of itself, or of an index, constraint or trigger


class DifferenceKind(StrEnum):
    """What is not equal."""

    SCHEMA = "schema"  # a definition
    COUNT = "count"  # of a relation's rows
    CONTENT = "content"  # of a relation, whatever its rows
    MISSING = "missing"  # on the source only
    EXTRA = "extra"  # on the target only
    CHANGED = "changed"  # on both sides, with other values
    SEQUENCE = "sequence"  # its position
    LARGE_OBJECT = "large object"  # its content, owner or grants


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not equal. `key` and `columns` name, they never show a row's values,
    except the key's own columns where the user asked for values."""

    kind: DifferenceKind  # what is not equal
    object: str  # what it is about
    message: str  # how it differs
    key: dict[str, str] = field(default_factory=dict)  # of a row: its key columns with their values
    columns: tuple[str, ...] = ()  # of a row: those that differ
    source: dict[str, str | None] | None = None  # values, only when asked for
    target: dict[str, str | None] | None = None  # the same
    rows: int = 0  # how many unnamed rows it stands for; 0: it names its subject
    relation: str = ""  # of a definition: the relation that it is a part of, on the target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind.value, "columns": list(self.columns)}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Difference:
        words = {"kind": DifferenceKind(json["kind"]), "columns": tuple(json["columns"])}
        return cls(**{**json, **words})

    def __str__(self) -> str:
        place = ", ".join(f"{name} = {value}" for name, value in self.key.items())
        return f"{self.object}{f' ({place})' if place else ''}: {self.message}"
