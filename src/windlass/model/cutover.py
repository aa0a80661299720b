"""What a cutover is about to do, for the person who confirms it."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.model.following import Direction


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a cutover is about to do, for the person who confirms it."""

    direction: Direction
    left: str  # the database that is closed, for people
    opened: str  # the database that is opened
    sessions: int  # how many will be ended
    sequences: int
    freeze_ms: float | None  # according to the last rehearsal
    max_freeze_seconds: float
    notices: tuple[str, ...] = ()
