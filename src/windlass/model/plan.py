"""The plan of a migration: what a reviewer signs, and what every step of the flow reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from windlass.model.chunk import Chunk
from windlass.model.mapping import MappedColumn, Mapping
from windlass.model.relation import Column, LargeObjects, Name, Relation, Wire
from windlass.model.report import Loss, Problem
from windlass.model.statement import Statement
from windlass.model.translation import Reading

# The most statements of a transaction, which holds a lock for each object that it makes.
MOST_STATEMENTS = 200


@dataclass(frozen=True, slots=True)
class Server:
    """A database on a server, as it describes itself. No credentials."""

    place: str  # host:port
    database: str
    user: str
    version: int  # server_version_num
    version_text: str  # "16.14"
    encoding: str
    identity: str  # identifies the database, however it is addressed
    superuser: bool = False
    engine: str = "PostgreSQL"

    @property
    def major(self) -> int:
        return self.version // 10000

    def __str__(self) -> str:
        return f"{self.database} on {self.place} ({self.engine} {self.version_text})"


class Arrival(StrEnum):
    """How a relation is created on the target."""

    CREATE = "create"  # it does not exist
    REPLACE = "replace"  # the existing one is set aside first
    FILL = "fill"  # it exists and is empty; rows are copied into it
    REFUSE = "refuse"  # it exists, and the user has not said what to do with it


class Form(StrEnum):
    """A common text form of two types, in which equal texts mean equal values."""

    TEXT = "text"  # each as COPY writes it
    NUMBER = "number"  # without zeros at the end
    MOMENT = "moment"  # a date, and its midnight
    NETWORK = "network"  # with its mask
    UNPADDED = "unpadded"  # without the blanks that character(n) adds


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion of values between two base types, both as ``format_type`` writes them."""

    source: str
    target: str
    form: Form
    accepted: bool = False  # some values change, which the user accepted


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    source: str
    source_type: str
    target: str
    target_type: str
    generated: bool = False  # the target computes it
    not_null: bool = False
    fills_itself: str = ""  # "default now()", "identity" or nothing
    conversion: Conversion | None = None  # None: both sides have the same type
    dropped: bool = False  # the target computes what the source stores, which the user accepted
    field: str = ""  # of a Django model: shop.Order.created


@dataclass(frozen=True, slots=True)
class RelationPlan:
    """One relation that holds rows. `columns` pairs source names with target names and types."""

    relation: Relation
    target: Name
    arrival: Arrival
    wire: Wire
    columns: tuple[ColumnPlan, ...]
    chunks: tuple[Chunk, ...]
    batch: str  # the group of its items in pipelines: its name, or a batch of small relations
    enters: Name  # on the target, what its rows are copied into: itself, or its partition root
    root: Name | None = None  # that partition root on the source, if rows enter there
    reordered: bool = False  # the target's columns cannot have the source's order
    reading: Reading | None = None  # of a source of another engine: what is read of it
    mapping: Mapping | None = None  # through which it is read; columns have its names

    def __post_init__(self) -> None:
        """Raises:
        ValueError: rows enter at a root on one side only.
        """
        if (self.root is None) is not (self.enters == self.target):
            raise ValueError(f"{self.target} enters at {self.enters}, and its root is {self.root}")

    def how(self, column: ColumnPlan) -> MappedColumn:
        """What a column is made of, by the source's names."""
        if self.mapping is None:
            return MappedColumn(column.target, column.target_type, column.source)
        return self.mapping.column(column.source)

    @property
    def given(self) -> tuple[Column, ...]:
        """The source's columns, as it has them."""
        return self.mapping.given if self.mapping else self.relation.columns

    def given_type(self, column: ColumnPlan) -> str:
        """The type of what a column is made of, as the source has it."""
        if self.mapping is None:
            return column.source_type
        source = self.how(column).source
        return next((one.type for one in self.given if one.name == source), column.source_type)


@dataclass(frozen=True, slots=True)
class Load:
    """Chunks that are copied by one start of the copying step, in one target transaction.

    A large relation's chunk is a separate load; small relations share one.
    """

    id: str
    batch: str
    chunks: tuple[Chunk, ...]

    @property
    def size_bytes(self) -> int:
        return sum(chunk.size_bytes for chunk in self.chunks)


Address = tuple[int, int]  # of an object in its database, as its engine numbers them


@dataclass(frozen=True, slots=True)
class SetAside:
    """An object of the target that `--existing replace` moves into a backup schema. An object
    outside any schema is renamed instead."""

    kind: str  # TABLE, VIEW, SEQUENCE, TYPE, FUNCTION ... as ALTER takes it
    name: Name
    signature: str  # what ALTER takes after the name: "(IN a integer)", " using btree"; else ""
    backup_schema: str  # or the other name
    address: Address = (0, 0)


@dataclass(frozen=True, slots=True)
class Dependent:
    """An object of the target that refers to a set-aside one, and is recreated when the new
    relations are complete, so that it refers to them.

    In a schema it is set aside as well, and a rollback restores it; anything else is dropped and
    recreated, and recreated again by a rollback.
    """

    object: str  # "view shop.sales"
    refers_to: tuple[str, ...]  # "table shop.orders", what is set aside
    statements: tuple[Statement, ...]  # create it, with owner, grants, comments
    aside: SetAside | None = None
    drop: str = ""
    restore: str = ""  # what a rollback runs if there is a `drop`
    validate: str = ""  # of a foreign key, which is made NOT VALID
    refresh: str = ""  # of a materialized view that is populated
    address: Address = (0, 0)  # of the old one
    state: str = ""  # of the old one when the plan was made; not recreated if altered since


@dataclass(frozen=True, slots=True)
class Estimate:
    """`basis` describes what the figures are based on; `steps` has worker-seconds by step."""

    seconds: float
    size_bytes: int
    rows: int
    basis: str
    low_seconds: float = 0.0
    high_seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    workers: float = 1.0  # busy at once
    refreshed_bytes: int = 0  # that materialised views read


class Purpose(StrEnum):
    MOVE = "move"
    COMPARE = "compare"  # about existing objects of the target


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a migration besides the tables whose rows it copies."""

    others: tuple[tuple[str, Name, Name], ...] = ()  # views and the like: kind, source, target
    materialized_views: tuple[Name, ...] = ()  # on the target, in the order of refreshing
    partition_roots: tuple[Name, ...] = ()  # on the target: ANALYZE of one covers its whole tree
    large_objects: LargeObjects = field(default_factory=LargeObjects)
    owners: tuple[str, ...] = ()  # roles that own what is migrated
    left_out: tuple[str, ...] = ()  # definitions that mapped tables cannot keep, in its words


@dataclass(frozen=True, slots=True)
class Findings:
    """What people need to know before a plan is carried out."""

    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()  # nothing is lost, but people should know


@dataclass(frozen=True, slots=True)
class How:
    """How a plan is carried out."""

    jobs: int
    verify: str  # none, counts, full
    copies_rows: bool
    silences_triggers: bool = True  # of relations that it fills
    most_statements: int = MOST_STATEMENTS  # of a transaction, as far as the target has room
    notes_sums: bool = False  # of the source, with the copy
    tasks: int = 0  # of a scheduler, one after another; 0: one process does all of it


@dataclass(frozen=True, slots=True)
class Made:
    """When, by which version and for which options a plan was made."""

    at: str = ""  # in UTC
    version: str = ""  # of windlass
    options: dict[str, Any] = field(default_factory=dict)  # the spec, without the two sides
    tools: dict[str, str] = field(default_factory=dict)  # versions of what read the definitions


@dataclass(frozen=True, slots=True)
class Plan:
    """A migration or comparison, planned down to each statement and chunk."""

    run: str
    source: Server
    target: Server
    schemas: dict[str, str]  # source schema to target schema, every selected one
    relations: tuple[RelationPlan, ...]  # in copying order, largest first
    loads: tuple[Load, ...]
    statements: tuple[Statement, ...]  # in the archive's order
    sequences: tuple[tuple[Name, Name], ...]  # source, target
    objects: Objects
    set_aside: tuple[SetAside, ...]
    findings: Findings
    estimate: Estimate
    how: How
    made: Made = field(default_factory=Made)
    dependents: tuple[Dependent, ...] = ()  # of what is set aside, in the order of making them

    @property
    def size_bytes(self) -> int:
        return sum(item.relation.size_bytes for item in self.relations)

    @property
    def is_across(self) -> bool:
        """Whether the source is of another engine."""
        return any(item.reading is not None for item in self.relations)

    @property
    def renamed(self) -> dict[str, str]:
        """Schemas that have another name on the target."""
        return {old: new for old, new in self.schemas.items() if old != new}

    def _mapped(self) -> Sequence[object]:
        found = [one.mapping for one in self.relations if one.mapping]
        return sorted((str(one.relation), one.columns, one.where, one.hash_key) for one in found)

    @property
    def targets(self) -> list[Name]:
        """Names on the target: of relations with rows, then of all others, such as views."""
        return [
            *(item.target for item in self.relations),
            *(target for _, _, target in self.objects.others),
        ]

    @property
    def fingerprint(self) -> str:
        """A hash that is the same for plans that would do the same, regardless of the number of
        rows."""
        persistence = ("SET LOGGED", "SET UNLOGGED")  # depends on sizes
        what = (
            [one.sql for one in self.statements if one.kind not in persistence],
            sorted(
                (str(one.relation.name), str(one.target), one.arrival, one.columns)
                for one in self.relations
            ),
            sorted((one.kind, str(one.name), one.signature) for one in self.set_aside),
            sorted((one.object, *(each.sql for each in one.statements)) for one in self.dependents),
            sorted(map(str, self.findings.losses)),
            (self.how.verify, self.how.copies_rows),
            *([mapped] if (mapped := self._mapped()) else []),
        )
        return hashlib.sha256(repr(what).encode()).hexdigest()
