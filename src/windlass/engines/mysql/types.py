"""Types of MySQL and MariaDB, and what each may become. Pure: decides which census a column needs,
and reads no rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from windlass.model.translation import Field, Sort, SourceColumn, Type

LONGEST_LABEL = 63  # bytes of an enum's label; pg_enum.c, NAMEDATALEN
_SIZES = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_BINARY = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
_TEXT = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
_SPACES = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
    "multipolygon", "geometrycollection", "geomcollection",
}  # fmt: skip
_AS_UTF8 = {"utf8mb4", "utf8mb3", "utf8", "ascii"}
ALWAYS_DECODES = {"latin1", "cp1250", "cp1251", "cp1256", "cp850", "koi8r"}  # every byte is known
_WORDS = re.compile(
    r"(?P<kind>[a-z0-9]+)(?: *\((?P<args>.*)\))?(?P<rest>[^)]*)", re.IGNORECASE | re.DOTALL
)
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_ESCAPE = re.compile(r"''|\\(.)", re.DOTALL)  # append_unescaped() of both servers
_CONTROLS = {"0": "\0", "n": "\n", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Declared:
    """A type as the catalog writes it: ``decimal(10,2) unsigned``."""

    kind: str
    numbers: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    is_unsigned: bool = False
    is_zerofill: bool = False

    @property
    def number(self) -> int:
        return self.numbers[0] if self.numbers else 0


def declared(type_: str) -> Declared:
    found = _WORDS.match(type_)
    if found is None:
        return Declared(type_.lower())
    kind, args, rest = found["kind"].lower(), found["args"] or "", found["rest"].lower().split()
    if kind in ("enum", "set"):
        labels = tuple(_ESCAPE.sub(_unescaped, one) for one in _LABEL.findall(args))
        return Declared(kind, labels=labels)
    numbers = tuple(int(one) for one in args.split(",") if one.strip().isdigit())
    return Declared(kind, numbers, (), "unsigned" in rest, "zerofill" in rest)


def _unescaped(found: re.Match[str]) -> str:
    return _CONTROLS.get(found[1], found[1]) if found[1] else "'"


def charset_of(collation: str) -> str:
    """The character set, by the collation's name, such as utf8mb4_general_ci."""
    return collation.partition("_")[0]


def ignores_case(collation: str) -> bool:
    return collation.endswith("_ci")


def is_exact(collation: str) -> bool:
    """Whether equal texts have equal bytes, apart from trailing blanks."""
    return collation.endswith("_bin") or collation in ("", "binary")


def pads(collation: str) -> bool:
    """Whether trailing blanks of a text do not count."""
    return "_0900_" not in collation and "nopad" not in collation and collation != "binary"


def first_guess(column: SourceColumn) -> Field | None:
    """The field, if every value of the type fits; None for an unknown type."""
    known = declared(column.type)
    field = _of_number(known) or _of_time(known) or _of_text(known, column) or _of_others(known)
    return field and replace(field, name=column.name)


def _field(sort: Sort, form: str, **facts: Any) -> Field:
    return Field("", Type(sort, **facts), form)


def _of_number(known: Declared) -> Field | None:
    match known.kind:
        case "tinyint" | "smallint" | "mediumint" | "int" | "bigint":
            size = _SIZES[known.kind]
            least = 0 if known.is_unsigned else None
            form = "number" if known.is_zerofill else "plain"
            if known.is_unsigned and size == 64:
                return _field(Sort.DECIMAL, form, precision=20, least=0)
            needed = size + known.is_unsigned
            bits = next(one for one in (16, 32, 64) if needed <= one)
            return _field(Sort.INTEGER, form, bits=bits, least=least)
        case "decimal":
            precision, scale = (*(known.numbers or (10,)), 0)[:2]
            least = 0 if known.is_unsigned else None
            form = "number" if known.is_zerofill else "plain"
            return _field(Sort.DECIMAL, form, precision=precision, scale=scale, least=least)
        case "float" | "double":
            return _field(Sort.FLOAT, "double", bits=32 if known.kind == "float" else 64)
        case "year":
            return _field(Sort.INTEGER, "number", bits=16)
        case "bit" if known.number <= 1:
            return _field(Sort.BOOLEAN, "flag")
        case "bit":
            return _field(Sort.BITS, "bits", length=known.number)
    return None


def _of_time(known: Declared) -> Field | None:
    match known.kind:
        case "date":
            return _field(Sort.DATE, "date")
        case "time":
            return _field(Sort.TIME, "plain", digits=known.number)
        case "datetime":
            return _field(Sort.TIMESTAMP, "datetime", digits=known.number)
        case "timestamp":
            return _field(Sort.INSTANT, "datetime", digits=known.number)
    return None


def _of_text(known: Declared, column: SourceColumn) -> Field | None:
    charset = charset_of(column.collation)
    form = "utf8" if charset in _AS_UTF8 or not charset else "converted"
    is_ci = ignores_case(column.collation)
    match known.kind:
        case "char" | "varchar" if charset == "binary":
            return _field(Sort.BYTES, "hex")
        case "char" | "varchar":
            is_fixed = known.kind == "char" and known.number > 0
            return _field(
                Sort.TEXT, form, length=known.number, is_fixed=is_fixed, ignores_case=is_ci
            )
        case kind if kind in _TEXT:
            return _field(Sort.TEXT, form, ignores_case=is_ci)
        case "json":
            return _field(Sort.JSON, form)
        case "enum":
            fits = all(len(one.encode()) <= LONGEST_LABEL for one in known.labels)
            sort = Sort.ENUM if fits else Sort.TEXT
            # converted even if it is UTF-8: an enum by itself would be its number
            return _field(sort, "converted", labels=known.labels)
        case "set":
            return _field(Sort.SET, "converted", labels=known.labels)
    return None


def _of_others(known: Declared) -> Field | None:
    if known.kind in _BINARY:
        return _field(Sort.BYTES, "hex")
    if known.kind in _SPACES:
        return _field(Sort.BYTES, "geometry")
    if known.kind == "uuid":
        return _field(Sort.UUID, "uuid")
    if known.kind in ("inet4", "inet6"):
        return _field(Sort.TEXT, "converted")
    return None
