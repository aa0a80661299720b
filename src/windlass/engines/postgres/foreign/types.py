"""PostgreSQL's type for a type that no engine owns, and back."""

from __future__ import annotations

from windlass.model.relation import Name
from windlass.model.translation import Sort, Type

LONGEST_CHARACTERS = 10_485_760  # of character varying(n); htup_details.h, MaxAttrSize
MOST_DIGITS = 1000  # of numeric(p,s); numeric.h, NUMERIC_MAX_PRECISION
_INTEGERS = {16: "smallint", 32: "integer", 64: "bigint"}
_PLAIN = {
    Sort.BOOLEAN: "boolean",
    Sort.TEXT: "text",
    Sort.BYTES: "bytea",
    Sort.DATE: "date",
    Sort.INTERVAL: "interval",
    Sort.JSON: "jsonb",
    Sort.UUID: "uuid",
    Sort.ADDRESS: "inet",
    Sort.SET: "text[]",
    Sort.ENUM: "text",
    Sort.BITS: "bit varying",
}


def type_name(type_: Type) -> str:
    """As ``format_type`` writes it. An enum's own type has another name: see `enum_name`."""
    match type_.sort:
        case Sort.INTEGER:
            return _INTEGERS.get(type_.bits, "numeric")
        case Sort.DECIMAL if type_.precision:
            return f"numeric({type_.precision},{type_.scale})"
        case Sort.DECIMAL:
            return "numeric"
        case Sort.FLOAT:
            return "real" if type_.bits == 32 else "double precision"
        case Sort.TEXT if 0 < type_.length <= LONGEST_CHARACTERS:
            kind = "character" if type_.is_fixed else "character varying"
            return f"{kind}({type_.length})"
        case Sort.BITS if type_.length:
            return f"bit({type_.length})"
        case Sort.TIME | Sort.TIMESTAMP | Sort.INSTANT:
            return _of_time(type_)
    return _PLAIN[type_.sort]


def _of_time(type_: Type) -> str:
    digits = "" if type_.digits == 6 else f"({type_.digits})"
    word = "time" if type_.sort is Sort.TIME else "timestamp"
    zone = "with" if type_.sort is Sort.INSTANT else "without"
    return f"{word}{digits} {zone} time zone"


def enum_name(table: Name, column: str) -> Name:
    """The name of the type that is made for an enum's column."""
    return Name(table.schema, f"{table.name}_{column}")
