"""The options of a load: which rows an input has, and what happens to rows.

Separate from `windlass.model.load`, as the command line offers them and should start quickly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Take(StrEnum):
    """Which rows an input has."""

    ALL = "all"  # all rows: those that it lacks no longer exist
    SINCE = "since"  # those from a watermark on
    WHERE = "where"  # all rows of a slice


class Matched(StrEnum):
    """What becomes of a row whose key is in the table already."""

    UPDATE = "update"
    SKIP = "skip"
    REFUSE = "refuse"  # nothing is loaded


class Missing(StrEnum):
    """What becomes of a row of the table that the input lacks."""

    KEEP = "keep"
    DELETE = "delete"
    MARK = "mark"


class Duplicates(StrEnum):
    """What becomes of several rows of the input with one key."""

    REFUSE = "refuse"  # nothing is loaded
    LAST = "last"  # the last one is loaded


@dataclass(frozen=True, slots=True)
class LoadWords:
    """The independent options, and the short name that they come from, if any."""

    take: Take = Take.ALL
    key: tuple[str, ...] = ()  # columns of the table; empty: rows are not matched
    matched: Matched = Matched.REFUSE
    missing: Missing = Missing.KEEP
    duplicates: Duplicates = Duplicates.REFUSE
    history: bool = False  # a changed row is closed, and a new one added
    name: str = ""  # "merge"; empty if the options were given one by one
    last_by: str = ""  # the field by which the last duplicate is chosen; empty: the input's order
    slice: str = ""  # SQL of the target over the table: which of its rows may be deleted
    mark: str = ""  # the column that is set in rows that are missing
    valid_from: str = "valid_from"  # columns of a history: from when a row is valid
    valid_to: str = "valid_to"  # and until when
