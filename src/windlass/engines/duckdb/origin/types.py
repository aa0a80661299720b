"""DuckDB's column types as engine-independent types, and the types that people can choose instead.
Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from windlass.engines.answers import read_type
from windlass.model.translation import Field, Sort, Type

CAST = " as "  # in a form: precedes the DuckDB type that values are cast to first
MOST_LABEL_BYTES = 63  # of an enum of PostgreSQL's
_HUGE = Type(Sort.DECIMAL, precision=39)
_PLAIN: dict[str, tuple[Type, str]] = {
    "BOOLEAN": (Type(Sort.BOOLEAN), "bool"),
    "TINYINT": (Type(Sort.INTEGER, bits=16), "number"),
    "SMALLINT": (Type(Sort.INTEGER, bits=16), "number"),
    "INTEGER": (Type(Sort.INTEGER, bits=32), "number"),
    "BIGINT": (Type(Sort.INTEGER, bits=64), "number"),
    "HUGEINT": (_HUGE, "number"),
    "UTINYINT": (Type(Sort.INTEGER, bits=16, least=0), "number"),
    "USMALLINT": (Type(Sort.INTEGER, bits=32, least=0), "number"),
    "UINTEGER": (Type(Sort.INTEGER, bits=64, least=0), "number"),
    "UBIGINT": (Type(Sort.DECIMAL, precision=20, least=0), "number"),
    "UHUGEINT": (Type(Sort.DECIMAL, precision=39, least=0), "number"),
    "BIGNUM": (Type(Sort.DECIMAL), "number"),
    "VARINT": (Type(Sort.DECIMAL), "number"),
    "FLOAT": (Type(Sort.FLOAT, bits=32), "float"),
    "DOUBLE": (Type(Sort.FLOAT, bits=64), "float"),
    "VARCHAR": (Type(Sort.TEXT), "text"),
    "BLOB": (Type(Sort.BYTES), "blob"),
    "DATE": (Type(Sort.DATE), "date"),
    "TIME": (Type(Sort.TIME), "time"),
    "TIME_NS": (Type(Sort.TIME), "time_ns"),
    "TIMESTAMP": (Type(Sort.TIMESTAMP), "timestamp"),
    "TIMESTAMP_S": (Type(Sort.TIMESTAMP), "timestamp"),
    "TIMESTAMP_MS": (Type(Sort.TIMESTAMP), "timestamp"),
    "TIMESTAMP_NS": (Type(Sort.TIMESTAMP), "timestamp_ns"),
    "TIMESTAMP WITH TIME ZONE": (Type(Sort.INSTANT), "instant"),
    "INTERVAL": (Type(Sort.INTERVAL), "interval"),
    "UUID": (Type(Sort.UUID), "uuid"),
    "BIT": (Type(Sort.BITS), "bits"),
    "JSON": (Type(Sort.JSON), "json"),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_NESTED = re.compile(r"(STRUCT|MAP)\(.*\)|.*\[\d*\]", re.DOTALL)
# what a chosen type is in DuckDB; casting to it and back must keep the value
_CHOSEN = {
    Sort.BOOLEAN: "BOOLEAN", Sort.TEXT: "VARCHAR", Sort.DATE: "DATE", Sort.TIME: "TIME",
    Sort.TIMESTAMP: "TIMESTAMP", Sort.INSTANT: "TIMESTAMP WITH TIME ZONE", Sort.UUID: "UUID",
    Sort.JSON: "JSON", Sort.INTERVAL: "INTERVAL",
}  # fmt: skip
_INTEGERS = {16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}
_MOST_DIGITS = 38  # of a DECIMAL


@dataclass(frozen=True, slots=True)
class Chosen:
    """`back` is the column's own type, to which a value is cast back; empty if the cast loses
    nothing."""

    field: Field
    back: str = ""


def first_guess(name: str, type_: str) -> Field | None:
    """The first type to try; None if no type has such values."""
    if found := _PLAIN.get(type_):
        return Field(name, *found)
    if match := _DECIMAL.fullmatch(type_):
        precision, scale = int(match[1]), int(match[2])
        return Field(name, Type(Sort.DECIMAL, precision=precision, scale=scale), "number")
    if type_.startswith("ENUM("):
        labels = tuple(one.replace("''", "'") for one in _LABEL.findall(type_))
        is_short = all(len(one.encode()) <= MOST_LABEL_BYTES for one in labels)
        sort = Sort.ENUM if is_short else Sort.TEXT
        return Field(name, Type(sort, labels=labels), "text")
    if _NESTED.fullmatch(type_):
        return Field(name, Type(Sort.JSON), "nested")
    return None


def chosen(name: str, type_: str, words: str, about: str) -> Chosen | None:
    """The type that people have chosen; None if it is not available for this column.

    Raises:
        BadSpec: there is no such type.
    """
    wanted = read_type(words, about)
    guess = first_guess(name, type_)
    if wanted.sort is Sort.TEXT and (guess is None or guess.form != "blob"):
        if type_ == "VARCHAR" or type_.startswith("ENUM("):
            return Chosen(Field(name, wanted, "text"))
        return Chosen(Field(name, wanted, f"text{CAST}VARCHAR"))
    if guess is None:
        return None
    if wanted.sort is Sort.BYTES:
        return (
            Chosen(Field(name, wanted, "blob" if guess.form == "blob" else "encoded"))
            if (guess.form == "blob" or type_ == "VARCHAR")
            else None
        )
    if wanted.sort is guess.type.sort and wanted.sort in (Sort.JSON, Sort.INTERVAL, Sort.UUID):
        return Chosen(guess)
    if replace(guess.type, least=None) == wanted:  # also numbers of more digits than a DECIMAL has
        return Chosen(guess)
    if wanted == Type(Sort.DECIMAL) and guess.form == "number" and not guess.type.scale:
        return Chosen(Field(name, wanted, guess.form))
    if guess.form in ("nested", "blob", "bits"):
        return None
    there = _there(wanted)
    if there is None:
        return None
    back = first_guess(name, there)
    assert back is not None, "a type of ours"
    return Chosen(Field(name, wanted, f"{back.form}{CAST}{there}"), type_)


def _there(wanted: Type) -> str | None:
    match wanted.sort:
        case Sort.INTEGER:
            return _INTEGERS[wanted.bits]
        case Sort.DECIMAL if 0 < wanted.precision <= _MOST_DIGITS:
            return f"DECIMAL({wanted.precision},{wanted.scale})"
        case Sort.FLOAT:
            return "FLOAT" if wanted.bits == 32 else "DOUBLE"
    return _CHOSEN.get(wanted.sort)
