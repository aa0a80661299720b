"""What happens in a run, as frozen events passed to a callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FlowPlanned:
    """The work is known. Sizes and rows are of what is to be copied, per group of items: a
    relation, or a batch of small ones; `relations` counts a batch's."""

    run: str
    sizes_bytes: dict[str, int]
    rows: dict[str, int]
    resumed: bool = False
    relations: dict[str, int] = field(default_factory=dict)  # where it is not 1
    loads: dict[str, int] = field(default_factory=dict)  # items of the copying step, where not 1
    source: str = ""  # names for people: "shop on 127.0.0.1:5416 (PostgreSQL 16.14)"
    target: str = ""  # "": the flow stays in one database
    flow: str = "migrate"
    doing: str = "Migrating"  # in the flow's words
    steps: tuple[str, ...] = ()  # every step that will run, in order
    copy_steps: tuple[str, ...] = ()  # those whose items move rows
    forecast: dict[str, float] = field(default_factory=dict)  # worker-seconds, by step
    workers: float = 1.0  # busy at once, by the forecast
    alone: tuple[str, ...] = ()  # steps in which only one worker is busy


@dataclass(frozen=True, slots=True)
class StepStarted:
    step: str
    items: int
    cost: int = 0  # of all its items


@dataclass(frozen=True, slots=True)
class StepFinished:
    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ItemStarted:
    step: str
    item: str
    group: str
    cost: int = 0


@dataclass(frozen=True, slots=True)
class ItemFinished:
    step: str
    item: str
    group: str
    seconds: float
    rows: int = 0
    size_bytes: int = 0
    resumed: bool = False  # the journal had it already
    cost: int = 0


@dataclass(frozen=True, slots=True)
class ItemRetried:
    step: str
    item: str
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class BytesCopied:
    """More bytes of an item are on their way; not yet committed. Lost if the item is retried."""

    item: str
    group: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person should read now; it is in the result as well."""

    message: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The journal has the run's end: whatever happens to this process now changes nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The user is asked something; `is_over` when there is an answer. Nothing is drawn between."""

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
    | RunEnded
    | Asked
)
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Emit to nobody."""
