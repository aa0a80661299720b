"""Which kind a column of a PostgreSQL type has in an export. Pure."""

from __future__ import annotations

from windlass.engines.base import MOST_DIGITS
from windlass.model.export import Column, Kind

_KINDS = {
    16: Kind.BOOLEAN, 17: Kind.BYTES, 19: Kind.TEXT, 20: Kind.INT64, 21: Kind.INT16,
    23: Kind.INT32, 25: Kind.TEXT, 26: Kind.INT64, 114: Kind.JSON, 700: Kind.FLOAT32,
    701: Kind.FLOAT64, 1042: Kind.TEXT, 1043: Kind.TEXT, 1082: Kind.DATE, 1083: Kind.TIME,
    1114: Kind.TIMESTAMP, 1184: Kind.INSTANT, 2950: Kind.UUID, 3802: Kind.JSON,
}  # fmt: skip
_LISTS = {
    1000: Kind.BOOLEAN, 1005: Kind.INT16, 1007: Kind.INT32, 1016: Kind.INT64, 1021: Kind.FLOAT32,
    1022: Kind.FLOAT64, 1009: Kind.TEXT, 1015: Kind.TEXT,
}  # fmt: skip
_NUMERIC = 1700


def column_of(name: str, type_: str, oid: int, modifier: int) -> Column:
    """A column of an export; `type_` is the server's name of its type."""
    if oid == _NUMERIC and modifier >= 4 and (digits := _digits(modifier)):
        return Column(name, type_, Kind.DECIMAL, False, *digits)
    if oid in _LISTS:
        return Column(name, type_, _LISTS[oid], is_list=True)
    kind = _KINDS.get(oid)
    return Column(name, type_, kind or Kind.TEXT, is_cast=kind is None)


def _digits(modifier: int) -> tuple[int, int] | None:
    """Precision and scale of a numeric's modifier (numeric_typmod_scale in numeric.c), as a decimal
    that holds all its values; None if that has more than 38 digits."""
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, ((modifier - 4) & 0x7FF ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    return (precision, scale) if precision <= MOST_DIGITS else None
