"""Nouns of a database that is migrated while applications write to it: phases, directions,
positions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """Where a run that follows is. Every process reads it in the target's journal."""

    COPYING = "copying"
    FOLLOWING = "following"  # the source is written to, the target follows
    FREEZING = "freezing"  # a cutover is in progress; nothing is decided yet
    SWITCHED = "switched"  # the target is written to, the source follows
    FREEZING_BACK = "freezing back"  # a flip back is in progress; nothing is decided yet
    FINISHED = "finished"  # nothing follows any more, and nothing is left
    ABANDONED = "abandoned"  # given up before a cutover

    @property
    def is_over(self) -> bool:
        return self in (Phase.FINISHED, Phase.ABANDONED)

    @property
    def target_is_open(self) -> bool:
        """Whether applications write to the target: the point of no return is passed."""
        return self in (Phase.SWITCHED, Phase.FREEZING_BACK)

    def undoing(self, run: str) -> str:
        """What to run in order to undo a run in this phase; one that still follows has to be ended
        before it is rolled back."""
        if self.is_over:
            return f"windlass rollback {run}"
        return f"windlass {'finish' if self.target_is_open else 'abandon'} {run}"


class Direction(StrEnum):
    """Which way the changes of a stream go."""

    FORWARD = "forward"  # read from the source, applied to the target
    BACK = "back"  # read from the target, applied to the source

    @property
    def other(self) -> Direction:
        return Direction.BACK if self is Direction.FORWARD else Direction.FORWARD


def turned(text: str) -> str:
    """A message about a stream, for the other direction: source and target change places."""
    text = text.replace("the target", "\0").replace("the source", "the target")
    return text.replace("\0", "the source")


UNSURE = "unsure"  # in a note of a late write: it may have been written before the freeze


class Purpose(StrEnum):
    """Why a marker was written into a stream."""

    LAG = "lag"  # to measure how far the stream is behind
    SEAL = "seal"  # nothing that others write may follow it
    PROOF = "proof"  # that the stream works from end to end


def stream_name(run: str, direction: Direction) -> str:
    """The name of a stream's slot, and of its publication."""
    return f"windlass_{run}_{direction}"


STREAM = re.compile(r"windlass_(\d{8}_\d{4}_[0-9a-f]{4})_(forward|back)(_\w+)?")
"""Matches the names of slots, publications and event triggers of runs that follow; the first group
is the run."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How far a stream is applied: a row that commits together with the rows up to that position.

    `commit_lsn` is where the commit record of the last transaction begins, `end_lsn` where it ends.
    """

    run: str
    direction: Direction
    epoch: int
    commit_lsn: int
    end_lsn: int
    transactions: int = 0  # since the beginning
    changes: int = 0  # since the beginning
    marker: int = 0  # the number of the last marker that has arrived
    late: Mapping[str, Any] | None = None  # what others wrote after a seal: `lsn` and `relation`
    lag_ms: float | None = None  # of the last marker
    age_seconds: float = 0.0  # since it was written, by the clock of that server


def late_where(late: Mapping[str, Any]) -> str:
    """Where others wrote, for people: of an `Applied`."""
    return f"{late.get('relation') or 'a table'} at {late.get('lsn', '?')}"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How far behind a stream is, and how fast; measured about once a second."""

    direction: Direction
    applies: bool = True  # false: it only watches for what others write
    lag_ms: float | None = None  # of the last marker that has arrived; None: none has
    lag_p50_ms: float | None = None  # of the last minute
    lag_p99_ms: float | None = None  # of the last minute
    behind_bytes: int = 0  # of the log that is read
    in_bytes_per_second: float = 0.0  # written to the log that is read
    out_bytes_per_second: float = 0.0  # applied, or found to be irrelevant
    changes_per_second: float = 0.0  # applied
    catch_up_seconds: float | None = 0.0  # None: never at this rate
    changes: int = 0  # applied since the beginning
    applied_lsn: str = ""  # up to where
    retained_bytes: int = 0  # of the log that the slot keeps
    room_bytes: int | None = None  # how much more it may keep; None: no limit
    wal_status: str = ""  # of the slot, as the server calls it

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> StreamStatus:
        """A status as this or another version wrote it."""
        names = {one.name for one in fields(cls)}
        kept = {name: value for name, value in found.items() if name in names}
        return cls(**{**kept, "direction": Direction(kept["direction"])})


@dataclass(frozen=True, slots=True)
class FollowingStatus:
    """The phase and progress of a run that follows, from the target's journal."""

    phase: Phase
    since_seconds: float  # how long it has been in this phase
    streams: tuple[StreamStatus, ...] = ()  # as last measured by the process that follows
    measured_seconds_ago: float | None = None  # None: never
    verified: str = ""  # the last comparison while it followed, for people
    rehearsed: str = ""  # the last rehearsal of a cutover: the freeze that it predicts, and when
    cut_over: str = ""  # the last cutover: how long writers were stopped, and when
    strays: tuple[str, ...] = ()  # what others wrote to the side that is only followed
    lost: str = ""  # after a cutover: why the source cannot be followed again without a comparison
    stopped: str = ""  # why the process that followed has stopped, if it said so
    remedy: str = ""  # what to do about that
    changed: tuple[str, ...] = ()  # statements that changed the source's definitions
    blockers: tuple[str, ...] = ()  # what prevents a cutover now, each with its remedy
    next_steps: tuple[str, ...] = ()  # commands that make sense now

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ending:
    """A run that follows is about to be finished or abandoned: what the user has to confirm."""

    run: str
    phase: Phase  # its present phase
    source: str  # for people
    end: Phase  # its phase afterwards


@dataclass(frozen=True, slots=True)
class Asked:
    """A command's request to the process that follows."""

    id: str
    what: str
    given: Mapping[str, Any]
    answer: Mapping[str, Any] | None  # None: not answered yet
