"""Casts the text in which a value travels to a type of DuckDB, and prints it as that text again.
Pure.

For most types both are DuckDB's own cast: `windlass.engines.duckdb.destination.carrying` has
PostgreSQL write what DuckDB prints.
"""

from __future__ import annotations

import re

from windlass.engines.duckdb.origin.forms import OWN
from windlass.model.conversion import Carried
from windlass.model.translation import Field, Sort, Type

_LIST = "[]"
_FLOATS = ("FLOAT", "DOUBLE")
_INTERVAL = (
    "(cast(year({0}) as bigint) * 12 + month({0})) || ' months ' || day({0}) || ' days '"
    " || (cast(hour({0}) as bigint) * 3600000000 + cast(minute({0}) as bigint) * 60000000"
    " + microsecond({0})) || ' microseconds'"
)
_INSTANT = (
    "case when isfinite({0}) then cast(make_timestamp(epoch_us({0})) as varchar) || '+00'"
    " else cast({0} as varchar) end"
)
_DECIMAL = (
    "case when cast({0} as varchar) like '.%' then '0' || cast({0} as varchar)"
    " when cast({0} as varchar) like '-.%' then '-0' || substr(cast({0} as varchar), 2)"
    " else cast({0} as varchar) end"
)
# a double from its bits
_OF_BITS = "cast(cast(unhex({0}) as bit) as double)"
_BITS = (
    "case when isnan({0}) then '7ff8000000000000'"
    " else lower(hex(cast(cast(cast({0} as double) as bit) as blob))) end"
)
_PRINTED = {
    "INTERVAL": _INTERVAL,
    "TIMESTAMP WITH TIME ZONE": _INSTANT,
    "BOOLEAN": "case {0} when true then 'true' when false then 'false' end",
    **dict.fromkeys(_FLOATS, _BITS),
}
_ESCAPED = re.compile(r"[\x00-\x1f\"\\]")
_SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: chr(92)}


def stored(carried: Carried, value: str) -> str:
    """The value for an expression that is its text, its number or its bytes."""
    if carried.type.endswith(_LIST):
        element = carried.type.removesuffix(_LIST)
        texts = f"cast(cast({value} as json) as varchar[])"
        if element in _FLOATS:
            of_bits = _OF_BITS.replace("{0}", "windlass_e")
            texts = f"list_transform({texts}, lambda windlass_e: {of_bits})"
        return f"cast({texts} as {carried.type})"
    if carried.type == "VARCHAR" and carried.sort is Sort.TEXT:
        return value
    return f"cast({value} as {carried.type})"


def printed(type_: str) -> str:
    """A template: the text of a value."""
    if type_.endswith(_LIST):
        return _list_text(type_.removesuffix(_LIST))
    if type_.startswith("DECIMAL"):
        return _DECIMAL
    return _PRINTED.get(type_, "cast({0} as varchar)")


def _list_text(element: str) -> str:
    """As `array_to_json` prints an array of texts."""
    text = printed(element).replace("{0}", "windlass_e")
    quoted = f"'\"' || {_escaped(text) if element == 'VARCHAR' else text} || '\"'"
    parts = f"list_transform({{0}}, lambda windlass_e: coalesce({quoted}, 'null'))"
    return f"'[' || array_to_string({parts}, ',') || ']'"


def _escaped(text: str) -> str:
    """Escape a text for JSON: backslashes first, as the other escapes add some."""
    made = text
    for code in (92, 34, *range(1, 32)):
        short = _SHORT.get(code)
        tail = f"'{short}'" if short not in (None, chr(92)) else "chr(92)"
        if short is None:
            tail = f"'u{code:04x}'"
        made = f"replace({made}, chr({code}), chr(92) || {tail})"
    return f"case when regexp_matches({text}, '[\\x00-\\x1f\"\\\\]') then {made} else {text} end"


def field_of(name: str, carried: Carried, type_: str = "") -> Field:
    """A column as it is hashed. `type_` is its actual type, if that differs from the type it should
    have."""
    of = Type(carried.sort, bits=64)
    match carried.sort:
        case Sort.INTEGER:
            return Field(name, of, "number as INTEGER" if carried.type == "BOOLEAN" else "number")
        case Sort.FLOAT:
            return Field(name, of, "float as DOUBLE")
        case Sort.BYTES:
            return Field(name, of, "blob")
    return Field(name, of, OWN + printed(type_ or carried.type))
