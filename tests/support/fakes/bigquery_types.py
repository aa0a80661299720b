"""BigQuery's types as DuckDB's, in which its stand-in keeps tables."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]

_TYPES = {
    "INTEGER": "BIGINT", "FLOAT": "DOUBLE", "BOOLEAN": "BOOLEAN", "STRING": "VARCHAR",
    "BYTES": "BLOB", "DATE": "DATE", "TIME": "TIME", "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
}  # fmt: skip


def duck_type(one: Json) -> str:
    """Of a field."""
    suffix = "[]" if one.get("mode") == "REPEATED" else ""
    if one["type"] in ("RECORD", "STRUCT"):
        fields = ", ".join(f'"{part["name"]}" {duck_type(part)}' for part in one["fields"])
        return f"STRUCT({fields}){suffix}"
    if one["type"] in ("NUMERIC", "BIGNUMERIC"):
        return f"DECIMAL({one.get('precision', 38)},{one.get('scale', 9)}){suffix}"
    return _TYPES[one["type"]] + suffix


def has_lists(one: Json) -> bool:
    return one.get("mode") == "REPEATED" or any(map(has_lists, one.get("fields", ())))


def plain_type(type_: str) -> str:
    return {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}.get(type_, type_)


def field_of(type_: str) -> Json:
    """The field of a column of DuckDB's type."""
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", type_):
        precision, scale = map(int, found.groups())
        fits = scale <= 9 and precision - scale <= 29
        words = {"precision": str(precision), "scale": str(scale)}
        return {"type": "NUMERIC" if fits else "BIGNUMERIC", **words}
    same = {duck: name for name, duck in _TYPES.items()}
    return {"type": same[{"INTEGER": "BIGINT"}.get(type_, plain_type(type_))]}
