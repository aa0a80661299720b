"""What a cutover is about to do, for the person who is asked."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.model.following import Direction


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a cutover is about to do, for the person who is asked."""

    direction: Direction
    left: str  # the database that is closed, for people
    opened: str  # the database that is opened
    sessions: int  # how many will be ended
    sequences: int
    freeze_ms: float | None  # by the last rehearsal
    max_freeze_seconds: float
    notices: tuple[str, ...] = ()
