"""What happened in a run: notes of its processes for its log, and what its journal has besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LONGEST_SAID = 1000  # characters


class Kind(StrEnum):
    """Of an entry of the log."""

    BEGAN = "began"
    RESUMED = "resumed"
    STEP = "step"  # it began, or is done
    RETRIED = "retried"  # an item, after an error
    NOTICE = "notice"
    PHASE = "phase"  # of a run that follows
    ENDED = "ended"
    SNAPSHOT = "snapshot"  # of the source
    ITEM = "item"  # a piece of work that is done
    ACTED = "acted"  # a person did something, from the page


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry that a process writes. It has no values of rows and no secrets."""

    number: int  # in this process, from 1
    kind: Kind
    said: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Happened:
    """An entry as it is read."""

    at: str  # UTC: "2026-11-30 06:18:00"
    kind: str  # of `Kind`, or one that a later version has added
    text: str


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some entries of a log, the newest first."""

    entries: Sequence[Happened] = ()
    all: int = 0  # how many the log has


def part_of(entries: Sequence[Happened], start: int, most: int) -> LogPart:
    """A part of a log that is known as a whole; `entries` are the newest first."""
    return LogPart(tuple(entries[start : start + most]), len(entries))
