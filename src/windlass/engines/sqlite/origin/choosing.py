"""Which types and forms a column can have: by its declaration, or by the user's choice. All its
values decide among them; nothing is guessed from a few. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from windlass.engines.answers import read_type
from windlass.engines.sqlite.origin.forms import FORMS
from windlass.engines.sqlite.types import Affinity, affinity_of
from windlass.model.translation import Answers, Field, Sort, SourceColumn, Type

BIGINT = Type(Sort.INTEGER, bits=64)
DOUBLE = Type(Sort.FLOAT, bits=64)
BYTES = Type(Sort.BYTES)
# most digits for which `printf` writes a double as a decimal, with room to spare
_SCALED_DIGITS = 13
_DECIMAL = re.compile(r"(?:NUMERIC|DECIMAL|DEC|MONEY|NUMBER)\w* ?\( ?(\d+) ?(?:, ?(\d+) ?)?\)")


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates for a column; the first one that fits all values is used. `wanted` is what the
    user is asked for if none fits."""

    column: SourceColumn
    fields: tuple[Field, ...]
    is_answered: bool = False
    expected: str = ""  # for people


def choose(column: SourceColumn, about: str, answers: Answers) -> Choice:
    """Raises:
    BadSpec: an answer is no type.
    """
    if column.name in answers.types:
        type_ = read_type(answers.types[column.name], about)
        if type_.sort is Sort.TEXT and column.collation == "NOCASE":
            type_ = replace(type_, ignores_case=True)
        found = [Field(column.name, type_, form) for form in _forms(type_, answered=True)]
        return Choice(column, tuple(found), True, answers.types[column.name])
    fields = [Field(column.name, type_, form) for type_, form in _declared(column)]
    return Choice(column, tuple(fields), False, column.type or "no type")


def _forms(type_: Type, *, answered: bool) -> list[str]:
    sort, found = type_.sort, [form for sort, form in FORMS if sort is type_.sort]
    if sort is Sort.DECIMAL and not 0 < type_.precision <= _SCALED_DIGITS:
        found.remove("scaled")
    if sort is Sort.DECIMAL and type_.precision:
        found.remove("")
    if sort is Sort.FLOAT and type_.bits == 32:
        found.remove("")
    if sort is Sort.INSTANT:
        found = [form for form in found if (form == "local") == bool(type_.zone)]
    return found


def _declared(column: SourceColumn) -> list[tuple[Type, str]]:
    word = column.type.upper().strip()
    by_case = column.collation == "NOCASE"
    if named := _named(word):
        return named
    match affinity_of(word):
        case Affinity.INTEGER:
            return [(BIGINT, "")]
        case Affinity.TEXT:
            return [(Type(Sort.TEXT, ignores_case=by_case), "")]
        case Affinity.REAL:
            return [(DOUBLE, "")]
        case Affinity.BOOLEAN:
            boolean = Type(Sort.BOOLEAN)
            return [(boolean, ""), (boolean, "letters"), (boolean, "words")]
        case Affinity.NUMBER:
            return _decimals(word)
    # no affinity, or a numeric one by a word without meaning: any value is possible
    text, integer, double, blob = (
        (Type(Sort.TEXT, ignores_case=by_case), ""), (BIGINT, ""), (DOUBLE, ""), (BYTES, ""),
    )  # fmt: skip
    return [blob, text, integer, double] if "BLOB" in word else [text, integer, double, blob]


def _named(word: str) -> list[tuple[Type, str]]:
    """The type for a word that means something beyond SQLite's own rules."""
    date, time = Type(Sort.DATE), Type(Sort.TIME)
    timestamp, instant = Type(Sort.TIMESTAMP), Type(Sort.INSTANT)
    if word == "DATE":
        return [(date, ""), (timestamp, ""), (instant, "")]
    if word.startswith(("DATETIME", "TIMESTAMP", "SMALLDATETIME")):
        return [(timestamp, ""), (instant, ""), (timestamp, "days"), (timestamp, "minutes")]
    if word.startswith("TIME"):
        return [(time, ""), (time, "minutes")]
    if word in ("JSON", "JSONB"):
        return [(Type(Sort.JSON), "")]
    if word in ("UUID", "GUID", "UNIQUEIDENTIFIER"):
        return [(Type(Sort.UUID), form) for form in ("", "digits", "bytes")]
    return []


def _decimals(word: str) -> list[tuple[Type, str]]:
    match = _DECIMAL.match(word)
    exact = []
    if match and 0 <= int(match[2] or 0) <= int(match[1]) <= 1000 and int(match[1]):
        type_ = Type(Sort.DECIMAL, precision=int(match[1]), scale=int(match[2] or 0))
        exact = [(type_, form) for form in _forms(type_, answered=False) if form == "scaled"]
        exact = exact or [(type_, "any")]
    return [*exact, (Type(Sort.DECIMAL), "")]
