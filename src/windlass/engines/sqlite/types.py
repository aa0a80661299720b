"""The type of a column: by its declaration, by all its values, or as the user specifies.

Pure. If declaration and values disagree, nothing is guessed: the user must specify the type.
https://www.sqlite.org/datatype3.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from windlass.engines.base import MOST_DIGITS
from windlass.engines.sqlite.census import Counts
from windlass.model.export import Column, Kind

EXACT_IN_FLOAT = 1 << 53  # integers up to this have a float each
_DECIMAL = re.compile(r"decimal\((\d+)(?:, ?(\d+))?\)")
SAYABLE = (
    Kind.BOOLEAN, Kind.INT64, Kind.FLOAT64, Kind.TEXT, Kind.JSON, Kind.UUID, Kind.BYTES,
    Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.INSTANT,
)  # fmt: skip


class Affinity(Enum):
    """The affinity of a declaration by SQLite's rules, and what the declaration means in
    addition."""

    INTEGER = "integer"
    REAL = "real"
    NUMBER = "number"  # integers and reals
    BOOLEAN = "boolean"
    TEXT = "text"
    BLOB = "blob"
    ANY = "any"  # a date, or a word that SQLite does not know: any value is possible


def affinity_of(declared: str) -> Affinity:
    word = declared.upper()
    if "INT" in word:
        return Affinity.INTEGER
    if any(part in word for part in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if "BLOB" in word:
        return Affinity.BLOB
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    if word.startswith("BOOL"):
        return Affinity.BOOLEAN
    if word.startswith(("NUM", "DEC", "MONEY", "CURRENCY")):
        return Affinity.NUMBER
    return Affinity.ANY


class Unclear(ValueError):
    """The values of a column have no common type, or not the declared one."""


def column_of(name: str, declared: str, counts: Counts) -> Column:
    """The column with the type that all its values have.

    Raises:
        Unclear: the user has to specify the type.
    """
    try:
        return Column(name, declared, _kind(affinity_of(declared), counts))
    except Unclear as error:
        is_ = "has no declared type" if declared == "any" else f"is declared as {declared}"
        raise Unclear(f"{name} {is_} and {error}: give `types`, or `text: [{name}]`") from None


def said_column(name: str, declared: str, said: str) -> Column:
    """A column whose type the user specified.

    Raises:
        Unclear: there is no such type.
    """
    if found := _DECIMAL.fullmatch(said):
        precision, scale = int(found[1]), int(found[2] or 0)
        if 1 <= precision <= MOST_DIGITS and scale <= precision:
            return Column(name, declared, Kind.DECIMAL, False, precision, scale)
    if said not in list(SAYABLE):
        known = ", ".join((*SAYABLE, "decimal(p,s)"))
        raise Unclear(f"types: {name}: {said!r} is not one of {known}")
    return Column(name, declared, Kind(said))


_EMPTY = {
    Affinity.INTEGER: Kind.INT64,
    Affinity.REAL: Kind.FLOAT64,
    Affinity.NUMBER: Kind.FLOAT64,
    Affinity.BOOLEAN: Kind.BOOLEAN,
    Affinity.TEXT: Kind.TEXT,
    Affinity.BLOB: Kind.BYTES,
    Affinity.ANY: Kind.TEXT,
}
_OF_CLASS = {
    "integer": Kind.INT64,
    "real": Kind.FLOAT64,
    "text": Kind.TEXT,
    "blob": Kind.BYTES,
}
_FITTING: Mapping[Affinity, set[str]] = {
    Affinity.INTEGER: {"integer"},
    Affinity.REAL: {"real", "integer"},
    Affinity.NUMBER: {"real", "integer"},
    Affinity.BOOLEAN: {"integer"},
    Affinity.TEXT: {"text"},
    Affinity.BLOB: {"integer", "real", "text", "blob"},  # no affinity
    Affinity.ANY: {"integer", "real", "text", "blob"},
}


def _kind(affinity: Affinity, counts: Counts) -> Kind:
    found = set(counts.classes)
    if not found:
        return _EMPTY[affinity]
    if not found <= _FITTING[affinity]:
        raise Unclear(_described(counts))
    if affinity is Affinity.BOOLEAN:
        if not 0 <= counts.lowest <= counts.highest <= 1:
            raise Unclear(f"{_described(counts)}, not only 0 and 1")
        return Kind.BOOLEAN
    if len(found) == 1 and affinity is not Affinity.REAL:
        return _OF_CLASS[found.pop()]
    if not found <= {"integer", "real"}:
        raise Unclear(_described(counts))
    if max(abs(counts.lowest), abs(counts.highest)) > EXACT_IN_FLOAT:
        raise Unclear(f"{_described(counts)}, too large to be floats exactly")
    return Kind.FLOAT64


def _described(counts: Counts) -> str:
    parts = [
        f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.classes.items()
    ]
    return f"holds {' and '.join(parts)}"
