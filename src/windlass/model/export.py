"""Nouns of an export: what is read, with which types, and the results."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from windlass.model.chunk import BlockRange
from windlass.model.digest import digest
from windlass.model.layout import TableLayout
from windlass.model.relation import Name
from windlass.model.units import plural


class Kind(StrEnum):
    """The kind of a column's values; every file format and warehouse has a type for each."""

    BOOLEAN = "boolean"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    TEXT = "text"
    JSON = "json"
    UUID = "uuid"
    BYTES = "bytes"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    INSTANT = "instant"  # with a time zone: an absolute moment
    NESTED = "nested"  # with values inside


NUMBERS = (Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL)
FLOATS = (Kind.FLOAT32, Kind.FLOAT64)  # that have NaN and infinity
STAMPS = (Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT)  # from which seconds can be subtracted


class Piece(Protocol):
    """A table or partition whose rows can be read by ranges of its blocks."""

    @property
    def blocks(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def query(self, blocks: BlockRange) -> str:
        """The FROM item of the rows in some blocks: an export's `query`."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A relation of a source, as far as an export needs to know it."""

    name: Name
    by_pattern: bool = True  # false: only its full name matches it, as for a view or partition
    key: tuple[str, ...] = ()  # columns that identify its rows
    not_null: frozenset[str] = frozenset()
    rows: int = -1  # about; -1: not known
    size_bytes: int = 0  # about
    faults: tuple[tuple[str, str], ...] = ()  # why it cannot be read, each with a hint
    is_ours: bool = False  # made by Windlass, such as a backup: no pattern matches it


@dataclass(frozen=True, slots=True)
class Request:
    """A user's request for one relation or query."""

    name: str
    relation: Readable | None = None  # None for a query
    query: str = ""
    where: str = ""
    text: tuple[str, ...] = ()  # columns to be written as text
    types: Mapping[str, str] = field(default_factory=dict)  # of columns, as the user specified
    casts: Mapping[str, str] = field(default_factory=dict)  # columns to types in the source's SQL
    nested: bool = False  # whether to describe what is inside of values
    dimensions: Mapping[str, int] = field(default_factory=dict)  # of columns that are arrays

    @property
    def schema(self) -> str:
        """Of the relation; empty for a query."""
        return self.relation.name.schema if self.relation else ""

    @property
    def has_sql(self) -> bool:
        """Whether it contains the user's own SQL."""
        return bool(self.query or self.where or self.casts)


@dataclass(frozen=True, slots=True)
class OfLoad:
    """What a column added by Windlass holds about the load of a row."""

    what: str
    value: str = ""  # of every row; empty: NULL


@dataclass(frozen=True, slots=True)
class Column:
    """A column of what is exported. `type` is the source's own, as format_type writes it."""

    name: str
    type: str
    kind: Kind
    is_list: bool = False
    precision: int = 0  # of a decimal: at most 38
    scale: int = 0
    not_null: bool = False
    mask: bool = False  # its values are hidden
    is_cast: bool = False  # no type fits the source's: its values are written as text
    source: str = ""  # its name in the source, if it is renamed
    cast: str = ""  # the type that the source casts it to, in its own SQL
    hash: str = ""  # identifies the key that its values are hashed with; empty: they are not
    partition: int = 0  # its position in the files' paths, which hold its values; 0: the files do
    load: OfLoad | None = None  # what it holds about the load, if Windlass adds it
    inside: Nested | None = None  # of a nested one

    @property
    def origin(self) -> str:
        """Its name in the source."""
        return self.source or self.name

    @property
    def treatment(self) -> tuple[object, ...]:
        """What is done to its values. Two extracts must agree on it."""
        done = (self.mask, self.hash, self.source, self.cast, self.partition)
        if self.inside:
            return (*done, self.inside.described)
        return (*done, self.load.what) if self.load else done

    @property
    def described(self) -> str:
        """For people."""
        if self.inside:
            return self.inside.described
        words = f"decimal({self.precision},{self.scale})" if self.precision else str(self.kind)
        return f"list of {words}" if self.is_list else words


@dataclass(frozen=True, slots=True)
class Nested:
    """What is inside of a column's values: lists (of lists) of something, or fields."""

    dimensions: int = 0  # of the lists; 0: fields
    of: Column | None = None  # what the innermost lists hold
    fields: tuple[Column, ...] = ()

    @property
    def described(self) -> str:
        """For people."""
        if self.of:
            return "list of " * self.dimensions + self.of.described
        return f"struct({', '.join(f'{one.name} {one.described}' for one in self.fields)})"

    @property
    def parts(self) -> tuple[Column, ...]:
        """The columns directly inside."""
        return (self.of,) if self.of else self.fields

    @property
    def has_fields(self) -> bool:
        """Whether it has fields, at any depth."""
        return bool(self.fields) or any(one.inside and one.inside.has_fields for one in self.parts)


@dataclass(frozen=True, slots=True)
class Span:
    """The range of watermark values that an export reads. As text, in the source's form."""

    overlap_seconds: float = 0  # for a time: how far before the last value reading starts
    overlap: int = 0  # the same for a number
    since: str = ""  # the last value that was loaded; empty at first
    upto: str = ""  # the highest value in this snapshot
    once: bool = False  # only rows after `since`, up to `upto`: no row is read by two runs
    commit: str = ""  # of the rows, if files are all there is: see `windlass.flows.export.commits`


@dataclass(frozen=True, slots=True)
class Described:
    """The columns of a relation or query. With rows and size, if describing it determined them."""

    columns: tuple[Column, ...]
    rows: int = -1
    size_bytes: int = -1
    unclear: Mapping[str, str] = field(default_factory=dict)  # columns: why their type is not known


@dataclass(frozen=True, slots=True)
class Hooked:
    """SQL statements of the user's, before and after a load or run."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.before or self.after)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user allows and asks for."""

    schema: str = "refuse"  # what a load may change in the table's definition
    require_rows: bool = False
    hooks: Hooked = Hooked()
    layout: TableLayout | None = None  # of the table, if a load creates it


@dataclass(frozen=True, slots=True)
class Export:
    """One relation, or query, to be exported."""

    name: str  # "shop.orders", or the name of a query
    table: str  # in the warehouse
    query: str  # the source's query without its columns: a FROM item and conditions
    columns: tuple[Column, ...]
    disposition: str
    relation: str = ""  # of the source; empty for a query
    key: tuple[str, ...] = ()  # columns by which rows match those of the table; empty: none do
    watermark: str = ""
    span: Span = Span()  # of the watermark
    rules: Rules = Rules()
    size_bytes: int = 0  # about, on the source
    rows: int = -1  # about
    source: str = ""  # identifies the database, however it is addressed
    engine: str = "postgresql"  # of the source: whose types the columns' are
    # The schema in which names are looked up first: those in the user's own SQL, and the operators
    # of a watermark of an extension's type. None: there is no SQL but ours.
    sql_schema: str | None = None

    @property
    def read(self) -> Export:
        """The export with only those columns that the source has."""
        return replace(self, columns=tuple(one for one in self.columns if not one.load))

    @property
    def has_sql(self) -> bool:
        """Whether it must be run as in psql."""
        return self.sql_schema is not None

    @property
    def schema(self) -> str:
        return self.sql_schema or ""

    @property
    def updates(self) -> bool:
        """Whether a new row updates the table's row with the same key, which otherwise stays as it
        is."""
        return self.disposition == "merge"

    @property
    def mark(self) -> str:
        """A short hash that identifies the watermark's values; empty without a watermark. Differs
        for another source, condition or column list, whose rows were not read before."""
        if not self.watermark:
            return ""
        columns = [(one.name, one.type, *one.treatment) for one in self.columns]
        return digest(self.source, self.name, self.query, self.watermark, columns)[:20]


@dataclass(frozen=True, slots=True)
class File:
    path: str  # below the store's folder
    rows: int
    size_bytes: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an extract wrote: the last object to appear for a run and relation."""

    run: str
    relation: str
    format: str
    compression: str
    files: tuple[File, ...]
    columns: tuple[Column, ...]
    losses: dict[str, str] = field(default_factory=dict)  # by column
    snapshot: int = 1
    watermark: str = ""
    since: str = ""  # the watermark value from which rows were read
    mark: str = ""
    id: str = ""  # of this extract: another extract of the same run has other rows
    read_at: str = ""  # when the snapshot was taken
    commit: str = ""  # which makes the rows part of the relation, if each run adds to it

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The warehouse's record of a load, written in the load's transaction."""

    run: str
    table: str
    rows: int  # that have arrived, counted by the warehouse
    read: int  # that the files held
    total: int  # of the table after the load
    watermark: str = ""
    is_last: bool = True  # no other run has loaded the table since
    is_new: bool = False  # loaded now, not by an earlier attempt


class Lost(StrEnum):
    """What happens to values that files or a warehouse cannot hold."""

    NO_PLACE = "no place"
    FIRST_INDEX = "first index"
    NO_LIST = "no list"

    def message(self, count: int) -> str:
        if self is Lost.FIRST_INDEX:
            return f"{count:,} arrays whose first index is not 1 begin at 1"
        if self is Lost.NO_LIST:
            return f"{plural(count, 'list')} that {'is' if count == 1 else 'are'} NULL became empty"
        values, are = plural(count, "value"), "is" if count == 1 else "are"
        return f"{values} that it cannot hold (infinity, NaN, 24:00, or out of range) {are} NULL"


Losses = Counter[tuple[str, Lost]]  # by column, and what happened to its values


def loss_messages(losses: Losses) -> dict[str, str]:
    """For people, by column."""
    found: dict[str, list[str]] = defaultdict(list)
    for (column, lost), count in losses.items():
        found[column].append(lost.message(count))
    return {column: "; ".join(sentences) for column, sentences in found.items()}
