"""Columns of pandas as Arrow: what is a missing value, and what is NaN.

NumPy's floats have no NULL, so pandas uses NaN for it. Such a NaN is NULL, unless the column
already contains NaN: then the row keeps the value it had before, or the result is refused.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from windlass.inplace.carriers import Column, Kind, Unfit, as_json, plain

if TYPE_CHECKING:
    import pyarrow as pa

_NAN_HINT = "give NULL as pandas.NA, or both, in a column of an Arrow type or of Float64"
_HAVE_NAN = {Kind.FLOAT, Kind.NUMERIC}
_NUMBERS = {"int", "float", "Decimal"}


def read_series(series: Any, column: Column, before: pa.Array | None) -> pa.Array:
    """A column of a frame. `before` has the values that the function was given.

    Raises:
        Unfit: its values are of several kinds, or a NaN may mean two things.
    """
    import numpy as np

    if series.dtype == object:
        return _read_objects(series, column, before)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "f":
        values = _array(series.to_numpy(), column, from_pandas=False)
        return _with_nulls(values, np.flatnonzero(series.isna()).tolist(), column, before)
    return _array(series, column, from_pandas=True)


def _array(values: Any, column: Column, *, from_pandas: bool) -> pa.Array:
    import pyarrow as pa

    try:
        return plain(pa.array(values, from_pandas=from_pandas))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        what = f"{getattr(values, 'dtype', 'object')} holds values of several kinds"
        name = type(error).__name__  # its text quotes a value
        raise Unfit(f"column {column.name}: {what} ({name})") from None


def _with_nulls(
    values: pa.Array, missing: Sequence[int], column: Column, before: pa.Array | None
) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    nulls = {place for place in missing if not _is_nan(column, before, place)}
    mask = pa.array([place in nulls for place in range(len(values))], pa.bool_())
    return pc.if_else(mask, pa.scalar(None, values.type), values) if nulls else values


def _is_nan(column: Column, before: pa.Array | None, place: int) -> bool:
    """Whether a missing value is NaN for the database.

    Raises:
        Unfit: it may be either.
    """
    if column.kind not in _HAVE_NAN or before is None:
        return False
    had = before[place].as_py()
    if had is None:
        return False
    if str(had).lower() == "nan":
        return True
    raise Unfit(f"column {column.name}: NaN that may mean NULL", hint=_NAN_HINT, row=place)


def _read_objects(series: Any, column: Column, before: pa.Array | None) -> pa.Array:
    import pyarrow as pa

    is_missing = series.isna().tolist()
    values = [None if gone else one for gone, one in zip(is_missing, series, strict=True)]
    if column.kind is Kind.DOCUMENT:
        return pa.array(_documents(values, column), pa.string())
    for place, (gone, one) in enumerate(zip(is_missing, series, strict=True)):
        if gone and isinstance(one, float | Decimal) and _is_nan(column, before, place):
            values[place] = one
        if not gone and getattr(one, "nanosecond", False):
            raise Unfit(f"column {column.name}: a time with nanoseconds", row=place)
    kinds = {_kind_of(one) for one in values if one is not None}
    if len(kinds - _NUMBERS) + bool(kinds & _NUMBERS) > 1:
        what = f"object holds values of several kinds: {', '.join(sorted(kinds))}"
        raise Unfit(f"column {column.name}: {what}")
    return _array(values, column, from_pandas=False)


def _kind_of(value: object) -> str:
    """The class of a value, and whether a time has a zone."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, numbers.Integral):
        return "int"
    if isinstance(value, numbers.Real):
        return "float"
    if isinstance(value, datetime):
        return "datetime" if value.tzinfo is None else "datetime with a zone"
    if isinstance(value, date):
        return "date"
    if isinstance(value, list | tuple) or type(value).__name__ == "ndarray":
        return "list"
    return type(value).__name__


def _documents(values: Sequence[object], column: Column) -> list[str | None]:
    texts = []
    for place, value in enumerate(values):
        try:
            texts.append(as_json(value))
        except (TypeError, ValueError, RecursionError):
            message = f"column {column.name}: a {type(value).__name__} that JSON cannot hold"
            raise Unfit(message, row=place) from None
    return texts
