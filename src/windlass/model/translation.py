"""Nouns of a migration between different engines: what a database is made of, in terms of no
particular engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from windlass.model.mapping import Mapping as Mapped
from windlass.model.relation import Name
from windlass.model.report import Loss, Problem


class Sort(StrEnum):
    """The kind of a column's values, and the text in which they travel. That text is the same on
    both sides: a source writes it, PostgreSQL's COPY reads it, and both hash it.
    """

    BOOLEAN = "boolean"  # t, f
    INTEGER = "integer"  # decimal digits
    DECIMAL = "decimal"  # exact, without exponent, with all digits of its scale
    FLOAT = (
        "float"  # travels as text that gives the same number; see `Origin.floats`. In lines that
    )
    # are hashed: all of it in hexadecimal digits, 15 of them after the point: -0x1f.800000000000000
    TEXT = "text"  # hashed with its length in bytes before it: 5:hello
    BYTES = "bytes"  # travels as `\\x` and hexadecimal digits, which are hashed
    DATE = "date"  # 2026-11-29
    TIME = "time"  # 23:59:59.000000
    TIMESTAMP = "timestamp"  # 2026-11-29 23:59:59.000000
    INSTANT = "instant"  # the same in UTC, and +00
    INTERVAL = "interval"  # travels as -838:59:59.000000; hashed as microseconds
    JSON = "json"  # travels as it is; hashed as `jsonb` prints it
    UUID = "uuid"  # lower case, with hyphens
    ADDRESS = "address"  # of a host in a network, as `inet` prints it: 10.0.0.1, fe80::1
    BITS = "bits"  # zeros and ones
    ENUM = "enum"  # as text, length included
    SET = "set"  # travels as {"a","b"}; hashed as `array_to_json` prints it


@dataclass(frozen=True, slots=True)
class Type:
    """A type that belongs to no engine. Each engine knows which of its types has the same
    values."""

    sort: Sort
    bits: int = 0  # of an integer (16, 32, 64) or a float (32, 64)
    precision: int = 0  # of a decimal; 0: any
    scale: int = 0
    length: int = 0  # most characters of a text, exact number of bits; 0: any
    is_fixed: bool = False  # a text that is padded with blanks to its length
    digits: int = 6  # of seconds
    labels: tuple[str, ...] = ()  # of an enum in their order, or of a set
    ignores_case: bool = False  # equal texts may differ by case (by PostgreSQL's lower)
    least: int | None = None  # of an integer, where its own type allows nothing lower
    zone: str = ""  # of an instant: its texts are local times there; empty: UTC

    @property
    def described(self) -> str:
        """For people."""
        match self.sort:
            case Sort.DECIMAL if self.precision:
                return f"decimal({self.precision},{self.scale})"
            case Sort.INTEGER | Sort.FLOAT if self.bits:
                return f"{self.sort} of {self.bits} bits"
            case Sort.TEXT | Sort.BITS if self.length:
                return f"{self.sort}({self.length})"
        return str(self.sort)


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the source's catalog describes it; expressions are in the source's SQL."""

    name: str
    type: str  # as the source writes it
    not_null: bool = False
    default: str = ""  # an expression; empty: none
    generated: str = ""  # an expression that computes it
    is_stored: bool = True  # if it is generated
    counts_up: bool = False  # a row inserted without it gets the next number
    collation: str = ""
    comment: str = ""
    on_update: str = ""  # an expression that an UPDATE of the row sets it to
    path: str = ""  # in a document, as users write it, of a value that becomes a column

    @property
    def written(self) -> str:
        """Its name as users write it."""
        return self.path or self.name


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or unique constraint. `nulls_are_equal`: two rows with NULL in the same column
    collide, if their other columns are equal. `ignoring_case` are columns whose texts it compares
    without case; None: those whose types do."""

    name: str
    columns: tuple[str, ...]
    nulls_are_equal: bool = False
    ignoring_case: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    refers_to: Name
    referred: tuple[str, ...]
    on_update: str = "NO ACTION"  # as the SQL standard writes it
    on_delete: str = "NO ACTION"
    is_deferrable: bool = False
    is_deferred: bool = False  # initially


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    expression: str  # in the source's SQL


@dataclass(frozen=True, slots=True)
class IndexPart:
    column: str = ""
    expression: str = ""  # in the source's SQL, if it is not a column
    prefix: int = 0  # only the first characters, or bytes
    descends: bool = False
    is_exact: bool = False  # it tells texts apart that are equal to the column's type


@dataclass(frozen=True, slots=True)
class Index:
    """An index that no constraint owns. `kind` is "" for an ordinary one, else a word for people:
    "full-text", "spatial"."""

    name: str
    parts: tuple[IndexPart, ...]
    is_unique: bool = False
    where: str = ""  # in the source's SQL
    kind: str = ""


Fixed = bool | int | float | str | None
"""A value that a mapping gives to every row."""


@dataclass(frozen=True, slots=True)
class Selected:
    """What is read instead of a mapped table: columns under the names that they get on the target,
    each a column or an expression, and a condition; all in the source's SQL. Engines that cannot
    select them so add `fixed` values to each row, and hash what is `hashed` once it is read."""

    columns: tuple[tuple[str, str, str], ...]  # name; the source's column, or else its expression
    where: str = ""
    fixed: tuple[tuple[str, Fixed], ...] = ()  # the same value in every row, by name
    hashed: tuple[str, ...] = ()  # names


@dataclass(frozen=True, slots=True)
class SourceTable:
    name: Name
    columns: tuple[SourceColumn, ...]
    primary_key: Key | None = None
    uniques: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str = ""
    rows: int = -1  # about
    size_bytes: int = 0  # about
    next_number: int = 0  # the next one of a column that counts up; 0: not known
    pages_by: tuple[str, ...] = ()  # ordered columns by whose ranges its rows can be read
    selected: Selected | None = None  # of a mapped table: then the columns have its names
    mapping: Mapped | None = None
    parents: tuple[SourceTable, ...] = ()  # mapped, that its foreign keys refer to


@dataclass(frozen=True, slots=True)
class SourceView:
    name: Name
    columns: tuple[str, ...]
    query: str  # in the source's SQL
    described: tuple[SourceColumn, ...] = ()  # the same columns, with their types
    lost: tuple[Loss, ...] = ()  # parts of its definition that no target has


@dataclass(frozen=True, slots=True)
class SourceSchema:
    """All that a source has. `others` are kinds and names of what is never translated, such as
    triggers and routines; `lost`, parts of tables' definitions that no target has."""

    tables: tuple[SourceTable, ...]
    views: tuple[SourceView, ...] = ()
    others: tuple[tuple[str, Name], ...] = ()
    lost: tuple[tuple[Name, Loss], ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A column whose type holds all of its values. `form` is a word of the source's engine: how its
    values are written as the text of their sort."""

    name: str
    type: Type
    form: str = ""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a scan of all rows of a table found. `problems` are what the user has to decide, with
    the options of the spec for it; `losses` are counted. `orphaned` are foreign keys that some rows
    break, because the source never checked them: the target does not validate its own. `left_out`
    are indexes that the target cannot have."""

    fields: tuple[Field, ...]
    rows: int
    size_bytes: int
    problems: tuple[Problem, ...] = ()
    losses: tuple[Loss, ...] = ()
    orphaned: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user has decided about a table's columns: PostgreSQL types by column, and which
    losses of values are accepted."""

    types: Mapping[str, str] = field(default_factory=dict)
    accepts_values: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a table, for copying and for the proof. `fields` are in the order of the
    target's columns; `key` are columns that identify rows, or none. `is_hashed`: its lines are as
    `windlass.engines.hashed_lines` hashes them, whether that is done or not."""

    table: Name
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    is_hashed: bool = False
    selected: Selected | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of a set of rows, in which a row may occur several times. A row's text is that of
    its fields in order: `N` for NULL, else the hashed text of its sort, each after a `|`:
    `|7|N|5:hello`. The first 15 hexadecimal digits of its MD5 are one number, the next 15 another;
    each is summed over the rows.
    """

    rows: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, self.first + other.first, self.second + other.second)


@dataclass(frozen=True, slots=True)
class Hashed:
    """What was hashed while rows were copied. In `blocks`, if there are any, each hash is one of
    all lines of a block, otherwise of a line."""

    digest: Digest
    by: str = ""  # the column of whole numbers in whose order the blocks are
    lows: tuple[int, ...] = ()  # the number of each block's first row
    rows: tuple[int, ...] = ()  # of each block


BUCKETS = 4096
"""By the first three hexadecimal digits of the MD5 of the key's text, or of the row's without a
key."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a bucket: its key's texts (all its fields' without a key), and each field's hashed
    text, None for NULL."""

    key: tuple[str | None, ...]
    texts: tuple[str | None, ...]
