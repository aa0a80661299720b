"""Constants that PostgreSQL casts, as other engines write their values. PostgreSQL rounds, cuts and
normalises some constants; those are refused, because each engine does that differently. Pure."""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NAME_BYTES = 63
_PADDED = ("CHAR", "NCHAR", "BPCHAR")  # trailing blanks do not count
# only constants of these: PostgreSQL cuts, pads or normalises other values
CHANGING = frozenset([*_PADDED, "NAME", "UUID"])
_CONVERTED = "windlass_converted"  # of a constant, in the metadata of its node: it was cast before


class Untranslatable(ValueError):
    """It may mean something else on the target."""


def converted(node: Any) -> Any:
    """Mark a constant as one that a cast has given."""
    node.meta[_CONVERTED] = True
    return node


def is_converted(node: Any) -> bool:
    return _CONVERTED in node.meta


def constant_of(node: Any) -> str | None:
    """The text of a constant, if it is one. A negative number is one, too."""
    from sqlglot import exp

    if isinstance(node, exp.Literal):
        return str(node.this)
    is_negative = isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal)
    return f"-{node.this.this}" if is_negative and not node.this.is_string else None


def truth_of(node: Any) -> bool:
    """What PostgreSQL makes of a constant that it casts to boolean.

    Raises:
        Untranslatable: it is none.
    """
    text = constant_of(node)
    if text is None:
        raise Untranslatable("a cast to boolean")
    if not node.is_string:
        return number_of(text, "INT", ()) != "0"
    word = text.strip(" \t\n\r\v\f").lower()
    is_true, is_false = (
        bool(word) and any(one.startswith(word) for one in words) for words in (_TRUE, _FALSE)
    )
    if is_true == is_false:  # neither, or "o"
        raise Untranslatable("no boolean")
    return is_true


def number_of(text: str, kind: str, limits: Any) -> str:
    """A constant that PostgreSQL casts to a kind of number, with its precision and scale.

    Raises:
        Untranslatable: it is no finite number, or would be rounded.
    """
    if not _NUMBER.fullmatch(text):
        raise Untranslatable("no number")
    value = Decimal(text)
    if kind in _BITS:
        most = 1 << _BITS[kind] - 1
        if value != value.to_integral_value() or not -most <= value < most:
            raise Untranslatable("a number that is rounded, or too large")
        return str(int(value))
    if kind == "DECIMAL" and limits:
        scale = _limit(limits[1]) if len(limits) > 1 else 0
        _check_digits(value, _limit(limits[0]), scale)
    if kind in ("DOUBLE", "FLOAT"):
        if abs(value) > Decimal("1e308") or 0 < abs(value) < Decimal("1e-300"):
            raise Untranslatable("a number that is too large or too small")
        if kind == "FLOAT" and not _is_short(float(value)):
            raise Untranslatable("a short float, which is rounded")
    return text


def _limit(parameter: Any) -> int:
    """A length, a precision or a scale."""
    if not parameter.name.isdigit():
        raise Untranslatable("a type with another parameter")
    return int(parameter.name)


def _check_digits(value: Decimal, precision: int, scale: int) -> None:
    # by its digits, as arithmetic would round to those of the decimal context
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    beyond = -exponent - scale
    is_rounded = beyond > 0 and any(digits[-beyond:])
    if is_rounded or value.copy_abs() >= Decimal(1).scaleb(precision - scale):
        raise Untranslatable("a number that is rounded, or too large")


def _is_short(value: float) -> bool:
    """Whether four bytes hold it exactly."""
    try:
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
    except OverflowError:
        return False


def text_of(text: str, kind: str, limits: Any) -> str:
    """A constant that PostgreSQL casts to a kind of text, with its length.

    Raises:
        Untranslatable: it would be cut, or given another form.
    """
    most = _limit(limits[0]) if limits else 0
    if kind in ("CHAR", "NCHAR") and not most:
        most = 1
    is_cut = (most and len(text) > most) or (kind == "NAME" and len(text.encode()) > _NAME_BYTES)
    is_padded = kind in _PADDED and text.endswith(" ")
    if is_cut or is_padded or (kind == "UUID" and not _UUID.fullmatch(text)):
        raise Untranslatable("a text that the cast changes")
    return text
