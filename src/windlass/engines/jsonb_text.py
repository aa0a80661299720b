"""JSON as PostgreSQL's `jsonb` prints it, so that both sides of a proof hash the same text.

Decides what `jsonb` would refuse, and which keys it would drop. The rules are those of `jsonb_in`
and `JsonbToCString` in PostgreSQL's jsonb.c, `escape_json` in json.c and `numeric_in` in numeric.c.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

MOST_DIGITS = 131_072  # of a numeric before its point; numeric.c, NUMERIC_WEIGHT_MAX
MOST_DECIMALS = 16_383  # the same after it; NUMERIC_DSCALE_MAX


class NoJsonb(ValueError):
    """Text that `jsonb` refuses: invalid JSON, U+0000 or half of a surrogate pair, a number that
    `numeric` cannot hold, or too deep nesting."""


@dataclass(frozen=True, slots=True)
class Printed:
    """`doubled` are the keys that occur again in the same object; the last one wins."""

    text: str
    doubled: int = 0


@dataclass(frozen=True, slots=True)
class _Number:
    text: str


class _Object(dict[str, object]):
    """An object that knows how many of its keys were doubled."""

    doubled = 0


def printed(text: str) -> Printed:
    """What ``text::jsonb::text`` is.

    Raises:
        NoJsonb: `jsonb` refuses it.
    """
    found: list[_Object] = []

    def keep(pairs: list[tuple[str, object]]) -> _Object:
        made = _Object(pairs)
        made.doubled = len(pairs) - len(made)
        found.append(made)
        return made

    try:
        value = json.loads(
            text,
            object_pairs_hook=keep,
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_refuse,
        )
        parts: list[str] = []
        _print(value, parts)
    except json.JSONDecodeError as error:
        raise NoJsonb(error.msg) from None
    except RecursionError:
        raise NoJsonb("nested too deep") from None
    return Printed("".join(parts), sum(one.doubled for one in found))


def jsonb_text(text: str) -> str:
    """What ``text::jsonb::text`` is.

    Raises:
        NoJsonb: `jsonb` refuses it.
    """
    return printed(text).text


def _refuse(constant: str) -> NoReturn:
    raise NoJsonb(f"{constant} is no JSON")


def _print(value: object, parts: list[str]) -> None:
    match value:
        case dict():
            parts.append("{")
            for at, key in enumerate(sorted(value, key=_order)):
                parts.append(f"{', ' if at else ''}{_quoted(key)}: ")
                _print(value[key], parts)
            parts.append("}")
        case list():
            parts.append("[")
            for at, one in enumerate(value):
                if at:
                    parts.append(", ")
                _print(one, parts)
            parts.append("]")
        case str():
            parts.append(_quoted(value))
        case _Number():
            parts.append(numeric_text(value.text))
        case bool():
            parts.append("true" if value else "false")
        case None:
            parts.append("null")
        case _:
            raise TypeError(f"JSON has no {type(value).__name__}")


def _order(key: str) -> tuple[int, bytes]:
    """Shorter keys first, then by bytes: `lengthCompareJsonbStringValue`."""
    as_bytes = key.encode("utf-8", "surrogatepass")
    return len(as_bytes), as_bytes


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_UNFIT = re.compile("[\x00\ud800-\udfff]")


def _quoted(text: str) -> str:
    if _UNFIT.search(text):
        raise NoJsonb("U+0000 or half of a surrogate pair")
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?")


def numeric_text(text: str) -> str:
    """What ``text::numeric::text`` is, of a number in JSON's form.

    Raises:
        NoJsonb: `numeric` cannot hold it.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise NoJsonb("no number of JSON")
    sign, whole, fraction = found[1], found[2], found[3] or ""
    if len(found[4] or "") > 8:
        raise NoJsonb("a number that numeric cannot hold")
    exponent = int(found[4] or 0)
    scale = max(0, len(fraction) - exponent)
    digits = (whole + fraction).lstrip("0")
    before = len(digits) - len(fraction) + exponent  # the digits before the point
    if (digits and before > MOST_DIGITS) or scale > MOST_DECIMALS:
        raise NoJsonb("a number that numeric cannot hold")
    digits += "0" * max(0, exponent - len(fraction)) if digits else ""
    digits = digits.rjust(scale + 1, "0")
    kept = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return kept if not kept.strip("0.") else sign + kept
