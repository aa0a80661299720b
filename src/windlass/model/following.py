"""Nouns of a database that moves while its writers write: phases, directions, positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """Where a run that follows is. Every process reads it in the target's journal."""

    COPYING = "copying"
    FOLLOWING = "following"  # the source is written to, the target follows
    FREEZING = "freezing"  # a cutover is at work; nothing is decided yet
    SWITCHED = "switched"  # the target is written to, the source follows
    FREEZING_BACK = "freezing back"  # a flip back is at work; nothing is decided yet
    FINISHED = "finished"  # nothing follows any more, and nothing is left
    ABANDONED = "abandoned"  # given up before a cutover

    @property
    def is_over(self) -> bool:
        return self in (Phase.FINISHED, Phase.ABANDONED)

    @property
    def target_is_open(self) -> bool:
        """Whether applications write to the target: the point of no return is passed."""
        return self in (Phase.SWITCHED, Phase.FREEZING_BACK)


class Direction(StrEnum):
    """Which way the changes of a stream go."""

    FORWARD = "forward"  # read from the source, applied to the target
    BACK = "back"  # read from the target, applied to the source


class Purpose(StrEnum):
    """Why a marker was written into a stream."""

    LAG = "lag"  # to measure how far the stream is behind
    SEAL = "seal"  # after it nothing of others may come
    PROOF = "proof"  # that the stream works from end to end


@dataclass(frozen=True, slots=True)
class Applied:
    """How far a stream is applied: a row that commits with the rows up to there.

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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command wants of the process that follows."""

    id: str
    what: str
    given: Mapping[str, Any]
    answer: Mapping[str, Any] | None  # None: not answered yet
