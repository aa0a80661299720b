"""Nouns of an export: what is read, as which types, and what has become of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from windlass.model.relation import Name
from windlass.model.units import plural


class Kind(StrEnum):
    """What a column's values are, in words that every file and warehouse has its own for."""

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


STAMPS = (Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT)  # what seconds can be taken from


@dataclass(frozen=True, slots=True)
class Readable:
    """A relation of a source, as far as an export has to know it."""

    name: Name
    by_pattern: bool = True  # else only its full name means it, as of a view or a partition
    key: tuple[str, ...] = ()  # columns that tell its rows apart
    not_null: frozenset[str] = frozenset()
    rows: int = -1  # about; -1: not known
    size_bytes: int = 0  # about
    faults: tuple[tuple[str, str], ...] = ()  # what keeps it from being read, each with a hint


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for, of one relation or query."""

    name: str
    relation: Readable | None = None  # None for a query
    query: str = ""
    where: str = ""
    text: tuple[str, ...] = ()  # columns to be written as text
    types: Mapping[str, str] = field(default_factory=dict)  # of columns, as the user says


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
    is_cast: bool = False  # nothing else takes the source's type: its text is written
    unclear: str = ""  # why its type is not known

    @property
    def described(self) -> str:
        """For people."""
        words = f"decimal({self.precision},{self.scale})" if self.precision else str(self.kind)
        return f"list of {words}" if self.is_list else words


@dataclass(frozen=True, slots=True)
class Span:
    """Between which values of its watermark an export reads. As text, in the source's own form."""

    overlap_seconds: float = 0  # how far before the last value reading begins
    since: str = ""  # the last value that was loaded; empty at first
    upto: str = ""  # the highest value in this snapshot


@dataclass(frozen=True, slots=True)
class Described:
    """The columns of a relation or query. Rows and size where describing has found them out."""

    columns: tuple[Column, ...]
    rows: int = -1
    size_bytes: int = -1


@dataclass(frozen=True, slots=True)
class Export:
    """One relation, or query, to be exported."""

    name: str  # "shop.orders", or the name of a query
    table: str  # in the warehouse
    query: str  # what the source is asked, without its columns: a FROM item and conditions
    columns: tuple[Column, ...]
    disposition: str
    relation: str = ""  # of the source; empty for a query
    key: tuple[str, ...] = ()
    watermark: str = ""
    span: Span = Span()  # of the watermark
    require_rows: bool = False
    size_bytes: int = 0  # about, on the source
    rows: int = -1  # about
    source: str = ""  # the same for every way of naming this very database
    engine: str = "postgresql"  # of the source: whose types the columns' are

    @property
    def mark(self) -> str:
        """What the watermark's values stand for, as a short word; empty without one. Another
        source, condition or list of columns has no part in what was read before."""
        if not self.watermark:
            return ""
        columns = [(one.name, one.type, one.mask) for one in self.columns]
        words = (self.source, self.name, self.query, self.watermark, columns)
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class File:
    path: str  # below the store's folder
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an extract has written: the last object of a run and relation to appear."""

    run: str
    relation: str
    format: str
    compression: str
    files: tuple[File, ...]
    columns: tuple[Column, ...]
    losses: dict[str, str] = field(default_factory=dict)  # by column
    snapshot: int = 1
    watermark: str = ""
    since: str = ""  # the watermark from which on rows were read
    mark: str = ""
    id: str = ""  # of this extract: another one of the same run has other rows

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the warehouse has recorded of a load, in the load's own transaction."""

    run: str
    table: str
    rows: int  # that have arrived, counted by the warehouse
    read: int  # that the files held
    total: int  # of the table when the load was through
    watermark: str = ""
    is_last: bool = True  # no other run has loaded the table since
    is_new: bool = False  # it was done just now, not found done


class Lost(StrEnum):
    """What may become of values that files or a warehouse cannot hold."""

    NO_PLACE = "no place"
    FIRST_INDEX = "first index"

    def message(self, count: int) -> str:
        if self is Lost.FIRST_INDEX:
            return f"{count:,} arrays whose first index is not 1 begin at 1"
        values, are = plural(count, "value"), "is" if count == 1 else "are"
        return f"{values} that it cannot hold (infinity, NaN, or out of range) {are} NULL"


Losses = Counter[tuple[str, Lost]]  # by column, and what has become of its values


def loss_messages(losses: Losses) -> dict[str, str]:
    """For people, by column."""
    found: dict[str, list[str]] = defaultdict(list)
    for (column, lost), count in losses.items():
        found[column].append(lost.message(count))
    return {column: "; ".join(sentences) for column, sentences in found.items()}
