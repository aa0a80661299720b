"""Makes Arrow arrays of Python's values. `pyarrow.array` does so too, but first imports pandas, if
that is installed: 45 MB of memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

_CODES = {pa.int64(): "q", pa.float64(): "d"}
_TEXT, _BYTES = pa.large_string(), pa.large_binary()


def array_of(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """An array of int64, float64, large_string or large_binary.

    Raises:
        OverflowError: a number is larger than the type.
    """
    nulls = sum(one is None for one in values)
    present = _bits(values) if nulls else None
    if code := _CODES.get(type_):
        filled = [0 if one is None else one for one in values] if nulls else values
        buffers = [present, pa.py_buffer(array(code, filled))]
    else:
        buffers = [present, *_joined(values, type_)]
    return pa.Array.from_buffers(type_, len(values), buffers, nulls)


def _joined(values: Sequence[Any], type_: pa.DataType) -> list[pa.Buffer]:
    """The offsets of the values, and all of them in one."""
    assert type_ in (_TEXT, _BYTES), type_
    if type_ == _TEXT:
        parts = [b"" if one is None else one.encode() for one in values]
    else:
        parts = [b"" if one is None else bytes(one) for one in values]
    offsets = list(accumulate(map(len, parts), initial=0))
    return [pa.py_buffer(array("q", offsets)), pa.py_buffer(b"".join(parts))]


def _bits(values: Sequence[Any]) -> pa.Buffer:
    """A bit for each value, the first one lowest: 1 if it is not NULL."""
    shown = "".join("0" if one is None else "1" for one in reversed(values))
    return pa.py_buffer(int(shown, 2).to_bytes((len(values) + 7) // 8, "little"))
