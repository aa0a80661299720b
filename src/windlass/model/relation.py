"""The contents of a database, as far as a migration needs to know. DDL text is
in `windlass.model.statement`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A schema-qualified name. SQL quotes it through the driver.

    ``str(name)`` is for people and for windlass's own identifiers: quoted where it would be
    ambiguous, as ``"a.b".c`` and ``a."b.c"`` are two relations.
    """

    schema: str
    name: str

    @classmethod
    def read(cls, text: str) -> Name:
        """The name that has this ``str``."""
        schema, name = (one.group() for one in re.finditer(r'"(?:[^"]|"")*"|[^."]+', text))
        return cls(_as_it_is(schema), _as_it_is(name))

    def __str__(self) -> str:
        return f"{_for_people(self.schema)}.{_for_people(self.name)}"

    @property
    def plain(self) -> str:
        """The text that patterns are matched against."""
        return f"{self.schema}.{self.name}"


def _for_people(part: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", part):
        return part
    return '"{}"'.format(part.replace('"', '""'))


def _as_it_is(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


class Wire(StrEnum):
    """How a value may travel through COPY between two servers."""

    BINARY = "binary"
    TEXT = "text"  # the binary form would carry object ids of the source


class HashBy(StrEnum):
    """What a fingerprint hashes, so that equal hashes mean equal data on both servers."""

    VALUE = "value"  # the type's hash covers every bit
    NUMERIC = "numeric"  # its hash ignores sign and scale: the binary form
    BIGINT = "bigint"  # its hash folds 64 bits into 32, so that -1 is 4294967295: the binary form
    INSTANT = "instant"  # likewise: a timestamp is 64 bits of microseconds
    FLOAT = "float"  # 0 and -0 hash alike: the value, and a zero's text beside it
    TEXT = "text"  # all others: no hash function, an incomplete one, or one of object ids


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str  # as format_type writes it, schema-qualified, with modifiers
    not_null: bool = False
    generated: bool = False  # stored or virtual: computed by the target, never copied
    identity: str = ""  # "a" always, "d" by default
    has_default: bool = False
    default: str = ""  # as SQL; not of one that is generated
    wire: Wire = Wire.BINARY
    hash_by: HashBy = HashBy.VALUE
    base: str = ""  # if the type is a domain: its base type, with modifiers
    definition: str = ""  # for user-defined types: their composition
    labels: tuple[str, ...] = ()  # of an enum
    known_everywhere: bool = True  # the type is the same on every server
    names_objects: bool = False  # regclass and similar types, or a type that contains one

    @property
    def fills_itself(self) -> bool:
        """Whether a row inserted without it gets a value."""
        return self.has_default or self.generated or bool(self.identity)


class Kind(StrEnum):
    """What a pattern can select, in words for people."""

    TABLE = "table"
    PARTITIONED = "partitioned"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Relation:
    """Anything with rows or a definition that a pattern can name.

    Anything else that only planning needs is in the engine.
    """

    name: Name
    kind: Kind
    columns: tuple[Column, ...] = ()
    identity: str = ""  # stays when it is renamed
    keyset: tuple[str, ...] = ()  # the ordered, unique, not-null columns that identify rows
    key: tuple[str, ...] = ()  # the columns of key ranges: the keyset, else those of a unique index
    size_bytes: int = 0  # of all rows, without indexes
    scan_bytes: int = 0  # read by a full scan: without values stored out of line
    index_bytes: int = 0  # of all its indexes
    rows: int = -1  # the engine's estimate; -1: unknown
    partition_of: Name | None = None

    @property
    def holds_rows(self) -> bool:
        """Whether it has its own rows to copy; a partitioned relation's rows are in its
        partitions."""
        return self.kind is Kind.TABLE

    @property
    def copied_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.generated)

    @property
    def wire(self) -> Wire:
        """Text if any column needs it: COPY has one format for the whole relation."""
        unsafe = any(column.wire is Wire.TEXT for column in self.copied_columns)
        return Wire.TEXT if unsafe else Wire.BINARY


@dataclass(frozen=True, slots=True)
class Sequence:
    name: Name
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class LargeObjects:
    """All large objects of a database, copied in groups of object ids."""

    count: int = 0
    lowest: int = 0
    highest: int = 0
