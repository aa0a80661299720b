"""Reads PostgreSQL's text of arrays and composites into Arrow's lists and structs.

The text is exact. Unlike the binary form, it shows if an array has another lower bound or number of
dimensions (array_out in arrayfuncs.c, record_out in rowtypes.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from windlass.engines.base import arrow_type
from windlass.errors import WindlassError
from windlass.model.export import Column, Kind, Losses, Lost, Nested

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_ROWS = 4_096  # as Python objects at a time

Convert = Callable[[str], Any]

_BOUNDS = re.compile(r"(?:\[-?\d+:-?\d+\])+=")
_LOWER = re.compile(r"\[(-?\d+):")
_TOKEN = re.compile(r'([{}])|"((?:[^"\\]|\\.)*)"|([^{},"]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FIELD = re.compile(r'(?:"((?:[^"\\]|""|\\.)*)"|([^,()"]*))([,)])', re.DOTALL)
_DOUBLED = re.compile(r'""|\\(.)', re.DOTALL)
_MOMENT = re.compile(
    r"(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?"
    r"([+-]\d\d(?::\d\d){0,2})?( BC)?"
)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_MOST = {Kind.DATE: (1 << 31) - 1, Kind.TIMESTAMP: (1 << 63) - 1, Kind.INSTANT: (1 << 63) - 1}


class NestedReader:
    """Of one column."""

    def __init__(self, relation: str, column: Column) -> None:
        self._relation, self._column = relation, column
        self._losses = Losses()
        self._convert = self._converter(column, column.name)

    def read(self, texts: pa.Array, losses: Losses) -> pa.Array:
        """Read the texts of one column. Values that the types cannot hold are counted in `losses`.

        Raises:
            WindlassError: an array has another number of dimensions than its column.
        """
        import pyarrow as pa

        self._losses = losses
        type_ = arrow_type(self._column)
        pieces = [self._piece(texts.slice(at, PIECE_ROWS), type_) for at in _starts(len(texts))]
        return pa.concat_arrays(pieces) if pieces else pa.array([], type_)

    def _piece(self, texts: pa.Array, type_: pa.DataType) -> pa.Array:
        import pyarrow as pa

        convert = self._convert
        values = [None if text is None else convert(text) for text in texts.to_pylist()]
        return pa.array(values, type_)

    def _converter(self, column: Column, path: str) -> Convert:
        inside = column.inside
        if inside is None:
            return _PLAIN.get(column.kind) or partial(self._plain, column.kind)
        if inside.of:
            of = self._converter(inside.of, path)
            return partial(self._list, inside, of, path)
        names = [one.name for one in inside.fields]
        converters = [self._converter(one, f"{path}.{one.name}") for one in inside.fields]
        return partial(self._struct, list(zip(names, converters, strict=True)))

    def _plain(self, kind: Kind, text: str) -> Any:
        """A plain value; NULL if its type cannot hold it."""
        found = _number(text) if kind is Kind.DECIMAL else _moment(kind, text)
        if found is None:
            self._lose(Lost.NO_PLACE)
        return found

    def _lose(self, lost: Lost) -> None:
        self._losses[self._column.name, lost] += 1

    def _list(self, inside: Nested, of: Convert, path: str, text: str) -> list[Any]:
        if found := _BOUNDS.match(text):
            if any(lower != "1" for lower in _LOWER.findall(found[0])):
                self._lose(Lost.FIRST_INDEX)
            text = text[found.end() :]
        if text == "{}":
            return []
        top: list[Any] = []
        open_lists: list[list[Any]] = [top]
        for token in _TOKEN.finditer(text):
            brace, quoted, bare = token.groups()
            if brace == "{":
                deeper: list[Any] = []
                open_lists[-1].append(deeper)
                open_lists.append(deeper)
            elif brace:
                open_lists.pop()
            elif len(open_lists) - 1 != inside.dimensions:
                raise self._misshapen(path, inside.dimensions, len(open_lists) - 1)
            elif bare == "NULL":
                open_lists[-1].append(None)
            else:
                value = _ESCAPED.sub(r"\1", quoted) if bare is None else bare
                open_lists[-1].append(of(value))
        (whole,) = top
        return list(whole)

    def _misshapen(self, path: str, expected: int, found: int) -> WindlassError:
        column = self._column.name
        ways = f"or `text: [{column}]`, which writes it as text"
        if path == column:
            ways = f"`dimensions: {{{column}: {found}}}` if all have {found}, {ways}"
        else:
            ways = f"declare the field's dimensions in its type, {ways}"
        return WindlassError(
            f"{self._relation}.{path} holds arrays of {found} dimensions, not {expected}",
            hint=f"nothing was loaded; give the relation {ways}",
            side="source",
        )

    def _struct(self, fields: list[tuple[str, Convert]], text: str) -> dict[str, Any]:
        values = {}
        at = 1
        for name, convert in fields:
            found = _FIELD.match(text, at)
            assert found is not None, "record_out writes every field"
            quoted, bare, _ = found.groups()
            at = found.end()
            if quoted is not None:
                values[name] = convert(_DOUBLED.sub(_undoubled, quoted))
            else:
                values[name] = convert(bare) if bare else None
        return values


def _starts(count: int) -> Iterator[int]:
    yield from range(0, count, PIECE_ROWS)


def _undoubled(found: re.Match[str]) -> str:
    return found[1] if found[1] is not None else '"'


def _number(text: str) -> Decimal | None:
    """None for NaN."""
    return None if text[-1].isalpha() else Decimal(text)


def _moment(kind: Kind, text: str) -> int | None:
    """A date or time as Arrow's number for it; None if Arrow has none."""
    most = _MOST[kind]
    if text.endswith("infinity"):
        return -most if text[0] == "-" else most
    found = _MOMENT.fullmatch(text)
    assert found is not None, "dates are written as ISO has them"
    year, month, day, hour, minute, second, fraction, zone, era = found.groups()
    days = days_from_civil(1 - int(year) if era else int(year), int(month), int(day))
    if kind is Kind.DATE:
        return days
    micros = days * 86_400_000_000 + _micros(hour, minute, second, fraction) - _offset(zone)
    return micros if abs(micros) < most else None


def _micros(hour: str, minute: str, second: str, fraction: str | None) -> int:
    seconds = (int(hour) * 60 + int(minute)) * 60 + int(second)
    return seconds * 1_000_000 + int((fraction or "").ljust(6, "0"))


def _offset(zone: str | None) -> int:
    """The offset of a time zone from UTC, such as +05:53:28, in microseconds."""
    if not zone:
        return 0
    parts = [int(part) for part in zone[1:].split(":")] + [0, 0]
    micros = ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000_000
    return -micros if zone[0] == "-" else micros


def _time(text: str) -> int:
    found = _TIME.fullmatch(text)
    assert found is not None, "times are written as ISO has them"
    return _micros(*found.groups())


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970 in the proleptic Gregorian calendar. The year 0 is 1 BC. After
    http://howardhinnant.github.io/date_algorithms.html#days_from_civil
    """
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


_PLAIN: dict[Kind, Convert] = {
    Kind.BOOLEAN: lambda text: text == "t",
    Kind.INT16: int,
    Kind.INT32: int,
    Kind.INT64: int,
    Kind.FLOAT32: float,
    Kind.FLOAT64: float,
    Kind.TEXT: str,
    Kind.JSON: str,
    Kind.UUID: str,
    Kind.BYTES: lambda text: bytes.fromhex(text[2:]),
    Kind.TIME: _time,
}
