"""Arrow values as text that loses nothing, for types that none of ours can hold."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def exact_texts(values: pa.Array) -> pa.Array:
    """A decimal with all digits, a duration in ISO 8601, a time or timestamp with nanoseconds."""
    if pa.types.is_duration(values.type):
        per_second = _PER_SECOND[values.type.unit]
        counts = values.cast(pa.int64()).to_pylist()
        texts = [None if one is None else _duration(one, per_second) for one in counts]
        return pa.array(texts, pa.string())
    if pa.types.is_timestamp(values.type) and values.type.tz:
        local = values.cast(pa.timestamp(values.type.unit, "UTC"))
        return local.cast(pa.string())  # ends in Z
    if pa.types.is_decimal(values.type):
        texts = [None if one is None else format(one, "f") for one in values.to_pylist()]
        return pa.array(texts, pa.string())
    try:
        return values.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return json_texts(values)


def _duration(count: int, per_second: int) -> str:
    sign = "-" if count < 0 else ""
    seconds = format(Decimal(abs(count)) / per_second, "f")
    return f"{sign}PT{seconds}S"


def json_texts(values: pa.Array) -> pa.Array:
    """Lists, structs and maps as JSON. The keys of a map become keys of an object if they are
    text."""
    return pa.array([None if not one.is_valid else json_text(one) for one in values], pa.string())


def json_text(value: Any) -> str:
    """An Arrow scalar as JSON: decimals with all their digits, bytes in base64, others as text."""
    if not value.is_valid:
        return "null"
    type_ = value.type
    if isinstance(type_, pa.DictionaryType):
        return json_text(value.dictionary[value.index.as_py()])
    if pa.types.is_struct(type_):
        inside = (f"{json.dumps(name)}: {json_text(one)}" for name, one in value.items())
        return f"{{{', '.join(inside)}}}"
    if pa.types.is_map(type_):
        pairs = [(one["key"], one["value"]) for one in value.values] if value.values else []
        if pa.types.is_string(type_.key_type):
            inside = (f"{json.dumps(key.as_py())}: {json_text(one)}" for key, one in pairs)
            return f"{{{', '.join(inside)}}}"
        return f"[{', '.join(f'[{json_text(key)}, {json_text(one)}]' for key, one in pairs)}]"
    if pa.types.is_nested(type_):
        return f"[{', '.join(json_text(one) for one in value.values or [])}]"
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_):
        return json.dumps(value.as_py())
    if pa.types.is_floating(type_):
        number = float(value.as_py())
        finite = number - number == 0
        return json.dumps(number) if finite else json.dumps(str(number))
    if pa.types.is_decimal(type_):
        return format(value.as_py(), "f")
    if pa.types.is_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return json.dumps(base64.b64encode(value.as_py()).decode())
    text: Any = exact_texts(pa.array([value.as_py()], type_) if _fits(type_) else _alone(value))
    return json.dumps(text[0].as_py(), ensure_ascii=False)


def _fits(type_: pa.DataType) -> bool:
    """Whether Python's value has all digits of the type."""
    return getattr(type_, "unit", "") != "ns"


def _alone(value: Any) -> pa.Array:
    return pa.array([value])
