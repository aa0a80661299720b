"""Values that go into a column of another type: which of them always arrive unchanged, and how they
are compared.

A value is copied as the text that COPY writes. Unless a table of widenings shows that every value
arrives unchanged, a census checks the source (`census`). Afterwards the source's value is compared
with the target's, each in a form that both types express exactly. Neither is cast to the other's
type, which could lose the same digits on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.model.plan import Conversion, Form
from windlass.model.relation import Column

INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}  # with the digits of the largest
_NUMBERS = {*INTEGERS, "numeric", "real", "double precision"}
_TEXTS = {"text", "character varying", "citext"}  # of any length: they take every text unchanged
_EXACT_IN_FLOAT = {
    "real": {"smallint"},
    "double precision": {"smallint", "integer", "real"},
}
_TIMES = {
    f"{name} {zone} time zone" for name in ("time", "timestamp") for zone in ("with", "without")
}


@dataclass(frozen=True, slots=True)
class Named:
    """A type's name and its modifiers: ``numeric(10,2)`` is numeric, (10, 2)."""

    name: str
    modifiers: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Named:
        match = re.fullmatch(r"([^(]+?)\s*\(([-\d,]+)\)(.*)", text)
        if match is None:
            return cls(text)
        return cls(match[1] + match[3], tuple(map(int, match[2].split(","))))


def conversion(source: Column, target: Column) -> Conversion | None:
    """What happens to values between two columns; None where both have the same type.

    User-defined types may share a name and differ in definition, so definitions are compared.
    """
    one, other = source.definition or source.type, target.definition or target.type
    if one == other:
        return None
    held, takes = source.base or source.type, target.base or target.type
    return Conversion(held, takes, _form(held, takes))


def _form(source: str, target: str) -> Form:
    names = {Named.parse(source).name, Named.parse(target).name}
    if names <= _NUMBERS:
        return Form.NUMBER
    if names == {"date", "timestamp without time zone"}:
        return Form.MOMENT
    if names == {"inet", "cidr"}:
        return Form.NETWORK
    if names <= {"character", "bpchar"}:
        return Form.UNPADDED
    return Form.TEXT


def canonical(form: Form, value: sql.Composable) -> sql.Composable:
    """A text that is the same for two values exactly if they are the same value, whatever their
    types.

    It never fails, as it starts from the value's own text. NULL for NULL.
    """
    return sql.SQL("case num_nulls({0}) when 0 then {1} end").format(value, _said(form, value))


def _said(form: Form, value: sql.Composable) -> sql.Composable:
    match form:
        case Form.TEXT:
            said = sql.SQL("concat({0})")
        case Form.NUMBER:  # 1.5 is 1.50 and 15e-1; -0, NaN and infinity stay as they are
            said = sql.SQL(
                r"case when concat({0}) ~ '^-?[0-9]+\.[0-9]*0$'"
                r" then rtrim(rtrim(concat({0}), '0'), '.')"
                r" when concat({0}) ~ '^-?[0-9.]+e[-+]?[0-9]+$'"
                r" then case position('.' in concat({0})::numeric::text)"
                r" when 0 then concat({0})::numeric::text"
                r" else rtrim(rtrim(concat({0})::numeric::text, '0'), '.') end"
                r" else concat({0}) end"
            )
        case Form.MOMENT:
            said = sql.SQL("regexp_replace(concat({0}), ' 00:00:00(?= BC|$)', '')")
        case Form.NETWORK:  # with the mask, which inet leaves out of a host's
            said = sql.SQL("pg_catalog.text({0})")
        case Form.UNPADDED:
            said = sql.SQL("rtrim(concat({0}), ' ')")
    return said.format(value)


def is_widening(source: str, target: str) -> bool:
    """Whether every value of one type is known to arrive unchanged in the other."""
    one, other = Named.parse(source), Named.parse(target)
    if other.name in _TEXTS and not other.modifiers:
        return True
    if one.name == other.name:
        return _holds_more(one, other)
    if one.name in INTEGERS and other.name in INTEGERS:
        return INTEGERS[one.name] < INTEGERS[other.name]
    if one.name in INTEGERS and other.name == "numeric":
        return not other.modifiers or _whole_digits(other) >= INTEGERS[one.name]
    if one.name in _EXACT_IN_FLOAT.get(other.name, ()):
        return True
    if one.name in ("character", "character varying") and other.name == "character varying":
        return bool(one.modifiers) and one.modifiers <= other.modifiers
    if one.name == "bit" and other.name == "bit varying":
        return not other.modifiers or one.modifiers <= other.modifiers
    return (one.name, other.name) in {("cidr", "inet"), ("oid", "bigint"), ("jsonb", "json")}


def _holds_more(one: Named, other: Named) -> bool:
    """Like `is_widening`, for types that differ only in their modifiers."""
    if not other.modifiers:
        return one.name != "bit"
    if not one.modifiers:
        return False
    if one.name == "numeric":
        return _scale(one) <= _scale(other) and _whole_digits(one) <= _whole_digits(other)
    growing = {"character", "character varying", "bit varying", *_TIMES}
    return one.name in growing and one.modifiers <= other.modifiers


def _scale(numeric: Named) -> int:
    return numeric.modifiers[1] if len(numeric.modifiers) > 1 else 0


def _whole_digits(numeric: Named) -> int:
    return numeric.modifiers[0] - _scale(numeric)


def unfit(target: str, text: sql.Composable) -> sql.Composable | None:
    """A condition for texts that COPY would refuse but a cast would cut off; None if both do the
    same.

    Trailing blanks are cut off by both (varcharin, bpcharin).
    """
    named = Named.parse(target)
    if not named.modifiers:
        return None
    size = sql.Literal(named.modifiers[0])
    if named.name in ("character", "character varying"):
        return sql.SQL("char_length(rtrim({}, ' ')) > {}").format(text, size)
    if named.name == "bit varying":
        return sql.SQL("char_length({}) > {}").format(text, size)
    if named.name == "bit":
        return sql.SQL("char_length({}) <> {}").format(text, size)
    return None


def not_among(labels: Sequence[str], text: sql.Composable) -> sql.Composable:
    """A condition for texts that are no label of the target's enum."""
    return sql.SQL("{} <> all ({}::text[])").format(text, sql.Literal(list(labels)))
