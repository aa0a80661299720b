"""The events of a run: frozen, passed to a callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.model.following import Phase, StreamStatus


@dataclass(frozen=True, slots=True)
class FlowPlanned:
    """The work is planned. Sizes and rows are those to be copied, per group of items: a relation,
    or a batch of small ones; `relations` counts the relations of a batch."""

    run: str
    sizes_bytes: dict[str, int]
    rows: dict[str, int]
    resumed: bool = False
    relations: dict[str, int] = field(default_factory=dict)  # where it is not 1
    loads: dict[str, int] = field(default_factory=dict)  # items of the copying step, where not 1
    source: str = ""  # names for people: "shop on 127.0.0.1:5416 (PostgreSQL 16.14)"
    target: str = ""  # "": the flow stays in one database
    flow: str = "migrate"
    doing: str = "Migrating"  # in the flow's terms
    steps: tuple[str, ...] = ()  # every step that will run, in order
    copy_steps: tuple[str, ...] = ()  # those whose items move rows
    forecast: dict[str, float] = field(default_factory=dict)  # worker-seconds, by step
    workers: float = 1.0  # busy at once, by the forecast
    alone: tuple[str, ...] = ()  # steps in which only one worker is busy


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins, with so many items."""

    step: str
    items: int
    cost: int = 0  # of all its items


@dataclass(frozen=True, slots=True)
class StepFinished:
    """All items of a step are done."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """An item of a step begins; `group` is its relation, or its batch of small ones."""

    step: str
    item: str
    group: str
    cost: int = 0


@dataclass(frozen=True, slots=True)
class ItemFinished:
    """An item is done and committed."""

    step: str
    item: str
    group: str
    seconds: float
    rows: int = 0
    size_bytes: int = 0
    resumed: bool = False  # it was already in the journal
    cost: int = 0


@dataclass(frozen=True, slots=True)
class ItemRetried:
    """An item failed and is tried again after a while."""

    step: str
    item: str
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class BytesCopied:
    """More bytes of an item were sent, not yet committed. Lost if the item is retried."""

    item: str
    group: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person should read now; it is in the result as well."""

    message: str


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a run that follows is; about once a second."""

    phase: Phase
    streams: tuple[StreamStatus, ...]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run's end is journalled. If this process dies now, nothing is lost."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The user is asked a question; `is_over` once answered. Nothing is drawn in between."""

    is_over: bool = False


Event = (
    FlowPlanned
    | StepStarted
    | StepFinished
    | ItemStarted
    | ItemFinished
    | ItemRetried
    | BytesCopied
    | Noticed
    | Followed
    | RunEnded
    | Asked
)
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Emit to nobody."""
