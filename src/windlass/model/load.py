"""Nouns of a load: which rows are taken, what becomes of them, and the results.

A *table* is one in use, in the target; others write to it as well. *Fields* are what an input has,
*columns* what the table has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from windlass.model.export import Column, Kind
from windlass.model.load_words import LoadWords
from windlass.model.mask import Mask
from windlass.model.outcome import Outcome, State
from windlass.model.relation import Name
from windlass.model.report import Problem


@dataclass(frozen=True, slots=True)
class Field:
    """What an input calls a column. Without a type of the input's own its values are exact text."""

    name: str
    column: Column | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What shows whether an input has changed; empty where that is unknown."""

    size_bytes: int = -1
    sha256: str = ""
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of the table. `type` is the target's own."""

    name: str
    type: str
    kind: Kind | None = None  # None: none of ours fits
    not_null: bool = False
    has_default: bool = False
    generated: bool = False  # the server computes it: no value can be set
    longest: int = 0  # characters; 0: any number
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """What a load has to know about the target's table."""

    name: Name
    columns: tuple[TableColumn, ...]
    keys: tuple[tuple[str, ...], ...] = ()  # unique over all rows, and checked immediately
    primary: tuple[str, ...] = ()
    rows: int = -1  # about; -1: not known
    problems: tuple[Problem, ...] = ()  # why nothing can be loaded into it

    def column(self, name: str) -> TableColumn | None:
        return next((one for one in self.columns if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Assigned:
    """How a column of the table gets its value: from a field, by SQL over the staged row, or NULL.

    `type` is the table's, or the one that the column is created with. A column that is not
    `compared` is set in new rows and in those that differ in another column. It makes no row
    differ.
    """

    column: str
    type: str
    field: str = ""
    sql: str = ""
    mask: Mask | None = None
    compared: bool = True


class Expect(StrEnum):
    """Kinds of expectations."""

    NOT_NULL = "not-null"
    UNIQUE = "unique"
    RANGE = "range"
    ACCEPTED = "accepted"
    FOREIGN_KEY = "foreign-key"
    ROWS = "rows"
    SQL = "sql"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold of the staged rows, as they would arrive, before anything is changed."""

    kind: Expect
    columns: tuple[str, ...] = ()
    low: str = ""  # of a range, or of the number of rows; empty: none
    high: str = ""
    accepted: tuple[str, ...] = ()
    refers_to: str = ""  # schema.table.column
    sql: str = ""
    warns: bool = False  # instead of stopping the load

    @property
    def described(self) -> str:
        """For people: ``range(total)``."""
        return f"{self.kind}({', '.join(self.columns) or self.sql})"


@dataclass(frozen=True, slots=True)
class Finding:
    """An expectation that does not hold; `keys` are of some of its rows."""

    expectation: Expectation
    rows: int
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadValue:
    """A value, or a record, that cannot be loaded, and where it is."""

    place: str  # the input
    record: int  # from 1, without the header
    reason: str  # "not an integer"; never the value
    line: int = 0  # where the record begins; 0: the input has no lines
    column: str = ""  # empty: the record itself is wrong
    value: str = ""  # only if the user wants to see it

    @property
    def described(self) -> str:
        where = f"line {self.line:,}" if self.line else f"record {self.record:,}"
        column = f", column {self.column}" if self.column else ""
        shown = f": {self.value!r}" if self.value else ""
        return f"{self.place}: {where}{column}: {self.reason}{shown}"


@dataclass(frozen=True, slots=True)
class Staged:
    """The result of staging one input."""

    rows: int
    refused: int = 0  # set aside as bad
    bad: tuple[BadValue, ...] = ()  # the first of those


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0  # or marked, or closed
    refused: int = 0

    def as_dict(self) -> dict[str, int]:
        return {
            "read": self.read,
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "deleted": self.deleted,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True)
class BadRules:
    """What is done about bad values."""

    most: int = 0  # how many rows are set aside; one more stops the load
    shows_values: bool = False
    keeps_failing: bool = False  # rows that fail an expectation are kept in a table


@dataclass(frozen=True, slots=True)
class Load:
    """One load: which fields go into which columns of a table, and how."""

    table: Table
    words: LoadWords
    fields: tuple[Field, ...]  # of every input, in their order
    assigned: tuple[Assigned, ...]
    expectations: tuple[Expectation, ...] = ()
    creates: bool = False  # it creates the table, which has no rows yet
    adds: tuple[TableColumn, ...] = ()  # columns that the table lacks
    bad: BadRules = BadRules()
    function: str = ""  # of the user's, over batches: "package.module:name"
    watermark: str = ""  # the field, if `take` is `since`
    claimed: tuple[TableColumn, ...] = ()  # columns of the table, with types as the user gave them
    inputs: tuple[str, ...] = ()  # their locations, in the order of staging
    at_once: bool = False  # the run has no other load: staging may load it, if nothing is checked

    @property
    def name(self) -> str:
        """Identifies it within a run."""
        return str(self.table.name)

    @property
    def is_plain(self) -> bool:
        """Whether every field goes into a column as it is."""
        simple = all(one.field and not one.sql and not one.mask for one in self.assigned)
        return simple and not self.function and len(self.assigned) == len(self.fields)


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A run of loads in the journal of a target."""

    run: str
    state: State
    source: str  # what was loaded, for people
    config: Mapping[str, Any]  # what makes it the same run
    plan: Mapping[str, Any]  # of JSON: what resuming and undoing need
    external_run: str = ""
    external_url: str = ""
    started_at: str = ""
    finished_at: str = ""
    outcome: Outcome | None = None
    lines: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    # by step and item: the notes of finished work


def summed(counts: Iterable[Counts]) -> Counts:
    """Of several loads."""
    totals = dict.fromkeys(Counts().as_dict(), 0)
    for one in counts:
        for word, number in one.as_dict().items():
            totals[word] += number
    return Counts(**totals)
