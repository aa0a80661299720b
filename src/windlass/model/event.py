"""What happens in a run, as frozen events passed to a callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlowPlanned:
    """The work is known: bytes and rows to copy per relation."""

    run: str
    sizes_bytes: dict[str, int]
    rows: dict[str, int]
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class StepStarted:
    step: str
    items: int


@dataclass(frozen=True, slots=True)
class StepFinished:
    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ItemStarted:
    step: str
    item: str
    group: str


@dataclass(frozen=True, slots=True)
class ItemFinished:
    step: str
    item: str
    group: str
    seconds: float
    rows: int = 0
    size_bytes: int = 0
    resumed: bool = False  # the journal had it already


@dataclass(frozen=True, slots=True)
class ItemRetried:
    step: str
    item: str
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class BytesCopied:
    """More bytes of a chunk are on their way; not yet committed."""

    item: str
    group: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person should read now; it is in the result as well."""

    message: str


Event = (
    FlowPlanned
    | StepStarted
    | StepFinished
    | ItemStarted
    | ItemFinished
    | ItemRetried
    | BytesCopied
    | Noticed
)
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Emit to nobody."""
