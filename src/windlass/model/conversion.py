"""Nouns of a migration from PostgreSQL into another engine: what the source is made of, in
PostgreSQL's words, and what each part becomes on the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from windlass.model.chunk import BlockRange
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Check, Digest, ForeignKey, Key, Sort


@dataclass(frozen=True, slots=True)
class PgType:
    """A PostgreSQL type. `base` is the type under any domains: `numeric`, or `schema.type`."""

    text: str  # for people, as format_type writes it
    base: str
    kind: str = "b"  # of the base: b, c, e, r, m
    is_array: bool = False
    modifier: int = -1
    labels: tuple[str, ...] = ()  # of an enum
    checks: str = ""  # of domains

    @property
    def length(self) -> int:
        """The maximum number of characters, or the exact number of bits; 0: any."""
        if self.modifier < 0:
            return 0
        return self.modifier if self.base in ("bit", "varbit") else self.modifier - 4

    @property
    def precision(self) -> int:
        """Of a number; 0: any."""
        return (self.modifier - 4) >> 16 & 0xFFFF if self.modifier >= 4 else 0

    @property
    def scale(self) -> int:
        return (((self.modifier - 4) & 0x7FF) ^ 1024) - 1024 if self.modifier >= 4 else 0


@dataclass(frozen=True, slots=True)
class PgColumn:
    name: str
    type: PgType
    not_null: bool = False
    default: str = ""
    generated: str = ""  # the expression that computes it
    is_stored: bool = True
    identity: str = ""  # a: always, d: by default
    collation: str = ""
    is_deterministic: bool = True
    comment: str = ""
    sequence: Name | None = None  # that it owns
    increment: int = 0  # of that
    in_keys: int = 0  # columns of the widest key, unique index or foreign key that has it

    @property
    def counts_up(self) -> bool:
        """Whether a row that is inserted without it gets the next number of its sequence."""
        return bool(self.identity or (self.sequence and self.default.startswith("nextval(")))


@dataclass(frozen=True, slots=True)
class PgConstraint:
    name: str
    kind: str  # p, u, f, c, x
    columns: tuple[str, ...]
    definition: str
    expression: str = ""  # of a check
    refers_to: Name | None = None
    referred: tuple[str, ...] = ()
    on_update: str = "a"
    on_delete: str = "a"
    matches_full: bool = False
    is_deferrable: bool = False
    is_deferred: bool = False
    is_validated: bool = True


@dataclass(frozen=True, slots=True)
class PgIndex:
    """An index that no constraint owns. For each of its keys, either the column or the expression
    is set."""

    name: str
    method: str
    is_unique: bool
    is_valid: bool
    columns: tuple[str, ...]
    expressions: tuple[str, ...]
    descends: tuple[bool, ...]
    condition: str
    definition: str


@dataclass(frozen=True, slots=True)
class PgTable:
    name: Name
    columns: tuple[PgColumn, ...]
    constraints: tuple[PgConstraint, ...] = ()
    indexes: tuple[PgIndex, ...] = ()
    is_partitioned: bool = False  # its partitions are a part of it
    readable: bool = True
    comment: str = ""
    rows: int = -1  # about
    size_bytes: int = 0  # about
    divisible_blocks: int = 0  # that can be read by ranges

    @property
    def primary_key(self) -> tuple[str, ...]:
        return next((one.columns for one in self.constraints if one.kind == "p"), ())


@dataclass(frozen=True, slots=True)
class PgView:
    name: Name
    columns: tuple[PgColumn, ...]
    query: str
    is_materialized: bool = False


@dataclass(frozen=True, slots=True)
class PgOther:
    """An object that no other engine supports."""

    kind: str
    schema: str
    relation: str
    name: str
    text: str

    @property
    def place(self) -> str:
        return ".".join(one for one in (self.schema, self.relation, self.name) if one)


@dataclass(frozen=True, slots=True)
class PgStructure:
    tables: tuple[PgTable, ...]
    views: tuple[PgView, ...] = ()
    others: tuple[PgOther, ...] = ()

    def table(self, name: Name) -> PgTable | None:
        return next((one for one in self.tables if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A condition, in PostgreSQL's SQL over `{0}`, and what happens to a column's values that meet
    it. Those values are counted over all rows. Without a `kind` it is only a notice."""

    when: str
    message: str  # after a count: "2 values: NaN, which becomes NULL"
    kind: LossClass | None = LossClass.VALUES
    makes_null: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """How a column's values arrive. `text` is a PostgreSQL expression over `{0}` that gives exactly
    what the target stores, as a value of the `sort`: INTEGER, FLOAT, TEXT or BYTES. `check`, also
    over `{0}`, is the part of the type that the target enforces."""

    type: str
    sort: Sort
    text: str
    check: str = ""
    number: str = ""  # over `{0}`: what the target computes with, if not the value itself
    is_opaque: bool = False  # the target's operators treat its values differently
    collation: str = ""
    distinct: str = ""  # values that are equal on the source but not on the target
    enum: str = ""  # the type of the source, if it is an enum: constants of it may be read
    doubts: tuple[Doubt, ...] = ()
    losses: tuple[str, ...] = ()  # what the target does not enforce of the type
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    source: str
    target: str
    source_type: str
    carried: Carried
    is_generated: bool = False  # the target computes it
    not_null: bool = False

    @property
    def type(self) -> str:
        return self.carried.type


@dataclass(frozen=True, slots=True)
class Made:
    """An index, or another object that is created after the rows have arrived."""

    name: str
    kind: str
    statement: str
    loss: str = ""  # what the source's object does and this one does not
    is_unique: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """Where the next number of a column comes from."""

    column: str  # on the target
    sequence: Name
    increment: int = 1  # on the target


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a table of the source is."""

    rows: int = -1  # about
    size_bytes: int = 0  # about
    bounds: tuple[int, ...] = ()  # blocks at which it is cut into chunks


@dataclass(frozen=True, slots=True)
class TableConversion:
    """`key` are target columns that identify rows, or none."""

    source: Name
    target: Name
    columns: tuple[ColumnPlan, ...]
    key: tuple[str, ...]
    create: str
    indexes: tuple[Made, ...] = ()
    keys: tuple[Made, ...] = ()  # foreign keys that are made once all rows and indexes are there
    before: tuple[Made, ...] = ()  # what it needs, such as its schema
    after: tuple[Made, ...] = ()  # what is made with it, such as comments
    needs: tuple[Name, ...] = ()  # tables of the target whose rows have to be there first
    itself: tuple[ForeignKey, ...] = ()  # to itself: each row is inserted after those it refers to
    counter: Counter | None = None
    is_partitioned: bool = False
    extent: Extent = Extent()

    @property
    def rows(self) -> int:
        return self.extent.rows

    @property
    def size_bytes(self) -> int:
        return self.extent.size_bytes

    @property
    def chunks(self) -> tuple[BlockRange, ...]:
        """What is copied at the same time. Empty: it is copied as a whole."""
        bounds = self.extent.bounds
        edges = pairwise([0, *bounds, None])
        return tuple(BlockRange(low or 0, high) for low, high in edges) if bounds else ()

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements that create it, without its indexes."""
        before, after = ([one.statement for one in made] for made in (self.before, self.after))
        return (*before, self.create, *after)


def chunk_ids(table: TableConversion) -> list[str]:
    """Names of its chunks in the journal."""
    return [f"{table.source}/{number}" for number in range(len(table.chunks))]


def summed(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The journal's note of a table, of those of its chunks."""
    found: dict[str, Any] = {
        word: sum(one[word] for one in notes) for word in ("rows", "bytes", "seconds")
    }
    found["snapshot"] = max(one["snapshot"] for one in notes)
    if all("digest" in one for one in notes):
        found["digest"] = asdict(sum((Digest(**one["digest"]) for one in notes), Digest()))
    return found


@dataclass(frozen=True, slots=True)
class ViewConversion:
    source: Name
    target: Name
    columns: tuple[ColumnPlan, ...]
    statement: str
    query: str  # of the source


@dataclass(frozen=True, slots=True)
class SetAside:
    """An object of the target that a run sets aside, and that its rollback puts back. Without a new
    name it is dropped, and `text` makes it again: what depends on a table, and has no rows."""

    kind: str  # table, view, trigger or file
    name: str
    aside: str = ""  # the name that it has afterwards
    text: str = ""


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """What a run creates from a PostgreSQL database. Any problem prevents the run."""

    run: str
    source: str  # for people
    identity: str  # of the source
    target: str  # for people
    engine: str  # the target's, for people
    is_new: bool  # the target does not exist yet, and is put in place as a whole
    tables: tuple[TableConversion, ...] = ()
    views: tuple[ViewConversion, ...] = ()
    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    verify: str = "full"
    copies_rows: bool = True
    set_aside: tuple[SetAside, ...] = ()

    def table(self, name: str) -> TableConversion:
        """The table with this name on the source."""
        return next(one for one in self.tables if str(one.source) == name)


@dataclass(frozen=True, slots=True)
class Projection:
    """The source's rows as they arrive: PostgreSQL expressions under the target's names."""

    name: Name
    columns: tuple[ColumnPlan, ...]
    key: tuple[str, ...]
    includes_children: bool  # of a partitioned table; a view has none
    floats: str = "bits"  # see `windlass.engines.origin.Origin`
    part: BlockRange | None = None  # None: all rows


@dataclass(frozen=True, slots=True)
class Present:
    """A table or view that the target has: what it was made with, and a digest of its rows."""

    name: Name
    text: str
    digest: Digest = field(default_factory=Digest)


@dataclass(frozen=True, slots=True)
class DraftColumn:
    """A column as it is to be made; expressions are in the target's SQL."""

    plan: ColumnPlan
    default: str = ""
    generated: str = ""
    is_stored: bool = True
    counts_up: bool = False
    increment: int = 1  # if it counts up
    sequence: str = ""  # the name of that on the source
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TableDraft:
    """A table as it is to be made; names and expressions are the target's."""

    name: Name
    columns: tuple[DraftColumn, ...]
    primary_key: Key | None = None
    uniques: tuple[Key, ...] = ()  # to which foreign keys refer, where these need constraints
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    comment: str = ""

    def column(self, name: str) -> DraftColumn:
        return next(one for one in self.columns if one.plan.target == name)


@dataclass(frozen=True, slots=True)
class Tried:
    """An expression of one table, to be checked: for every row, the target's SQL must give what the
    source's gives."""

    expression: str  # the target's
    source: str  # the source's
    columns: tuple[str, ...]  # of the source that the expression reads
    column: str = ""  # that it computes, and as which its value arrives
    carried: Carried | None = None  # how values of that column arrive
    is_condition: bool = False  # its value is compared as 0 and 1; else as text


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a target before a run: whether it has yet to be created, and the names in use
    there."""

    is_new: bool
    names: frozenset[str] = frozenset()  # as `windlass.engines.destination.folded` writes them
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Replacing:
    """What a run would set aside of a target that already has tables, what prevents that, and what
    the target is like afterwards."""

    standing: Standing
    set_aside: tuple[SetAside, ...] = ()
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
