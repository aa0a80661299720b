"""Types that users choose for columns, in PostgreSQL's words: how the values are written, and which
ones do not fit. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from psycopg import sql

from windlass.engines.mysql.forms import rescaled
from windlass.engines.mysql.quoting import Quoted, Text, Whole, part
from windlass.model.translation import Field, Sort, Type

_NUMBERS = {Sort.INTEGER, Sort.DECIMAL, Sort.BOOLEAN, Sort.BITS}
_INTEGERS = {
    "smallint": 16, "int2": 16, "integer": 32, "int": 32, "int4": 32, "bigint": 64, "int8": 64,
}  # fmt: skip
_TEXTS = {"text", "varchar", "character varying"}
_INSTANTS = {"timestamptz", "timestamp with time zone"}
_MOMENTS = {"timestamp", "timestamp without time zone"}
_MOST_DIGITS, _MOST_DECIMALS = 65, 30  # of MySQL's DECIMAL
_WORDS = re.compile(r"([a-z0-9 ]+?) *(?:\( *(\d+) *(?:, *(\d+) *)?\))?")
_UUID_DIGITS = 32
_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


@dataclass(frozen=True, slots=True)
class Answered:
    """A chosen field. `misfit` is an expression that is true for values that do not fit."""

    field: Field
    misfit: sql.Composable | None = None


def answered(guess: Field, words: str) -> Answered | None:
    """The field with the chosen type; None if that type is not available."""
    found = _WORDS.fullmatch(" ".join(words.lower().split()))
    if found is None:
        return None
    name, first, second = found[1], int(found[2] or 0), int(found[3] or 0)
    sort = guess.type.sort
    if name in ("boolean", "bool") and sort in _NUMBERS:
        field = replace(guess, type=Type(Sort.BOOLEAN), form="flag")
        return Answered(field, part("{} + 0 not in (0, 1)", Quoted(guess.name)))
    if name in _INTEGERS and sort in _NUMBERS:
        return _integer(guess, _INTEGERS[name])
    if name == "interval" and sort in (Sort.INTEGER, Sort.DECIMAL):
        return _interval(guess)
    if name in ("numeric", "decimal") and sort in _NUMBERS:
        return _decimal(guess, first, second)
    if name in _TEXTS:
        return _text(guess, first)
    return _other(guess, name)


def offered(guess: Field) -> tuple[str, ...]:
    """What people may choose, for a hint."""
    match guess.type.sort:
        case Sort.INTEGER | Sort.DECIMAL | Sort.BOOLEAN | Sort.BITS:
            numbers = ("boolean", "smallint", "integer", "bigint", "numeric(p,s)")
            return (*numbers, "interval (microseconds)", "text")
        case Sort.TEXT:
            return ("text", "varchar(n)", "uuid", "inet", "jsonb")
        case Sort.TIMESTAMP | Sort.INSTANT:
            return ("timestamp", "timestamptz", "text")
        case Sort.TIME | Sort.INTERVAL:
            return ("time", "interval", "text")
        case Sort.FLOAT:
            return ("double precision", "text")
        case Sort.BYTES:
            return ("bytea", "uuid")
    return ("text",)


def _integer(guess: Field, bits: int) -> Answered:
    column, most = Quoted(guess.name), 2 ** (bits - 1)
    field = replace(guess, type=Type(Sort.INTEGER, bits=bits, least=guess.type.least))
    field = replace(field, form="integer" if guess.type.sort is Sort.DECIMAL else "number")
    misfit = part(
        "({0} + 0 < {1} or {0} + 0 > {2} or {0} + 0 <> floor({0} + 0))",
        column,
        Whole(-most),
        Whole(most - 1),
    )
    return Answered(field, misfit)


def _interval(guess: Field) -> Answered:
    """An interval in microseconds."""
    misfit = part("{0} + 0 <> floor({0} + 0)", Quoted(guess.name))
    return Answered(replace(guess, type=Type(Sort.INTERVAL), form="microseconds"), misfit)


def _decimal(guess: Field, precision: int, scale: int) -> Answered | None:
    if not precision:
        return Answered(replace(guess, type=replace(guess.type, sort=Sort.DECIMAL, bits=0)))
    if precision > _MOST_DIGITS or scale > min(_MOST_DECIMALS, precision):
        return None
    type_ = Type(Sort.DECIMAL, precision=precision, scale=scale, least=guess.type.least)
    field = replace(guess, type=type_, form="decimal")
    return Answered(field, part("{} + 0 <> {}", Quoted(guess.name), rescaled(field)))


def _text(guess: Field, length: int) -> Answered | None:
    if guess.type.sort is Sort.BYTES:
        return None
    form = "plain" if guess.form == "datetime" or guess.form == "date" else guess.form
    type_ = Type(Sort.TEXT, length=length, ignores_case=guess.type.ignores_case)
    misfit = part("char_length({}) > {}", Quoted(guess.name), Whole(length)) if length else None
    return Answered(replace(guess, type=type_, form=form), misfit)


def _other(guess: Field, name: str) -> Answered | None:
    column, type_ = Quoted(guess.name), guess.type
    match type_.sort:
        case Sort.TIMESTAMP | Sort.INSTANT if name in _INSTANTS:
            return Answered(replace(guess, type=replace(type_, sort=Sort.INSTANT)))
        case Sort.TIMESTAMP | Sort.INSTANT if name in _MOMENTS:
            return Answered(replace(guess, type=replace(type_, sort=Sort.TIMESTAMP)))
        case Sort.TIME if name in ("time", "time without time zone"):
            return Answered(guess, part("({0} < '00:00:00' or {0} >= '24:00:00')", column))
        case Sort.TIME if name == "interval":
            return Answered(replace(guess, type=replace(type_, sort=Sort.INTERVAL)))
        case Sort.FLOAT if name in ("double precision", "float8"):
            return Answered(replace(guess, type=replace(type_, bits=64)))
        case Sort.TEXT if name == "jsonb":
            return Answered(replace(guess, type=Type(Sort.JSON)))
        case Sort.TEXT if name == "uuid" and type_.length == _UUID_DIGITS:
            misfit = part("lower({}) not regexp {}", column, Text("^[0-9a-f]{32}$"))
            return Answered(replace(guess, type=Type(Sort.UUID), form="uuid-digits"), misfit)
        case Sort.TEXT if name == "uuid":
            misfit = part("lower({}) not regexp {}", column, Text(_UUID))
            return Answered(replace(guess, type=Type(Sort.UUID), form="uuid"), misfit)
        case Sort.TEXT if name == "inet":
            misfit = part("inet6_aton({}) is null", column)
            return Answered(replace(guess, type=Type(Sort.ADDRESS), form="address"), misfit)
        case Sort.DATE if name == "date":
            return Answered(guess)
        case Sort.JSON if name == "jsonb":
            return Answered(guess)
        case Sort.UUID if name == "uuid":
            return Answered(guess)
        case Sort.BYTES if name == "uuid" and guess.form == "hex":
            misfit = part("length({}) <> 16", column)
            return Answered(replace(guess, type=Type(Sort.UUID), form="uuid-bytes"), misfit)
        case Sort.BYTES if name == "bytea":
            return Answered(guess)
    return None
