"""Finds the types that hold all values of text fields. Every value of every input is examined;
nothing is guessed from the first ones.

A type holds a value if it loses nothing of its text, except zeros at the end of decimals. So `007`,
`+1` and `1e5` are text, and so is a field without any value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from windlass.engines.base import MOST_DIGITS
from windlass.model.export import Column, Kind
from windlass.model.load import Field

if TYPE_CHECKING:
    from windlass.engines.landing import Input

# no plus, no leading zeros, no space
_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
_DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_BOOLEAN = r"^(true|false)$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"


@dataclass(slots=True)
class _Seen:
    """What the values so far allow a field to be."""

    kinds: frozenset[Kind]
    whole: int = 1  # the most digits before the point
    scale: int = 0
    any: bool = False
    null: bool = False


_ORDER = (Kind.BOOLEAN, Kind.INT64, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP)


def census(inputs: Iterable[Input]) -> list[Field]:
    """The fields of the inputs, which must be the same in all. Each gets the narrowest of int64,
    decimal, boolean, date, timestamp and text that holds all values. Reads all of them.

    Raises:
        BadRecord: an input has one that cannot be read.
    """
    found: list[Field] = []
    seen: list[_Seen] = []
    for source in inputs:
        if not seen:
            found = list(source.fields)
            seen = [_Seen(frozenset(_ORDER)) for _ in found]
        for batch in source.batches():
            for column, field, state in zip(batch.columns, found, seen, strict=True):
                if field.column is None:
                    _look(column, state)
    return [
        field if field.column else Field(field.name, _column(field.name, state))
        for field, state in zip(found, seen, strict=True)
    ]


def _look(values: pa.Array, state: _Seen) -> None:
    state.null = state.null or values.null_count > 0
    values = values.drop_null()
    if not len(values):
        return
    state.any = True
    state.kinds = frozenset(kind for kind in state.kinds if _CHECKS[kind](values))
    if Kind.DECIMAL in state.kinds:
        _measure(values, state)


def _column(name: str, state: _Seen) -> Column:
    kinds = state.kinds if state.any else frozenset()
    kind = next((one for one in _ORDER if one in kinds), Kind.TEXT)
    column = Column(name, "text", kind, not_null=state.any and not state.null)
    if kind is Kind.DECIMAL:
        return replace(column, precision=state.whole + state.scale, scale=state.scale)
    return column


def _matches(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _are_integers(values: pa.Array) -> bool:
    return _matches(values, _INTEGER) and _casts(values, pa.int64())


def _are_decimals(values: pa.Array) -> bool:
    # minus zero would lose its sign
    return _matches(values, _DECIMAL) and not _any_matches(values, r"^-0(\.0+)?$")


def _any_matches(values: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _measure(values: pa.Array, state: _Seen) -> None:
    """Count the digits needed before and after the point."""
    digits = pc.replace_substring(values, "-", "")
    points = pc.find_substring(digits, ".")
    lengths = pc.binary_length(digits)
    whole = pc.if_else(pc.less(points, 0), lengths, points)
    scales = pc.if_else(pc.less(points, 0), 0, pc.subtract(pc.subtract(lengths, points), 1))
    state.whole = max(state.whole, pc.max(whole).as_py())
    state.scale = max(state.scale, pc.max(scales).as_py())
    if state.whole + state.scale > MOST_DIGITS:
        state.kinds = state.kinds - {Kind.DECIMAL}


def _are_booleans(values: pa.Array) -> bool:
    return _matches(values, _BOOLEAN)


def _are_dates(values: pa.Array) -> bool:
    return _matches(values, _DATE) and _casts(values, pa.date32()) and _have_years(values)


def _are_timestamps(values: pa.Array) -> bool:
    return (
        _matches(values, _TIMESTAMP) and _casts(values, pa.timestamp("us")) and _have_years(values)
    )


def _have_years(values: pa.Array) -> bool:
    """There is no year 0 in SQL."""
    return not _any_matches(values, "^0000")


def _casts(values: pa.Array, type_: Any) -> bool:
    try:
        values.cast(type_)
    except pa.ArrowInvalid:
        return False
    return True


_CHECKS = {
    Kind.BOOLEAN: _are_booleans,
    Kind.INT64: _are_integers,
    Kind.DECIMAL: _are_decimals,
    Kind.DATE: _are_dates,
    Kind.TIMESTAMP: _are_timestamps,
}
