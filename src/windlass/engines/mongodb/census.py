"""Counts over all documents of a collection: which paths exist, with which types, and what the
values of `_id` are. Reads positions and types, not values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite

from windlass.engines.mongodb.elements import (
    BINARY,
    DATE,
    DECIMAL,
    DOCUMENT,
    DOUBLE,
    INT,
    KINDS,
    LONG,
    OBJECT_ID,
    STRING,
    elements,
)
from windlass.engines.mongodb.extended import binary_at, decimal_at, double_at
from windlass.engines.mongodb.values import EXTENDED, ID, Misfit, integer_at
from windlass.model.translation import Field, Sort, Type

MOST_PATHS = 60  # that are shown of a collection
# keys of a document that are counted one by one: more than that may be data rather than names
_MOST_NAMES = 100
_DEEPEST = 4
_UUID_SUBTYPE = 4


@dataclass(slots=True)
class Paths:
    """What was found at a path, by type."""

    kinds: Counter[int] = field(default_factory=Counter)
    inner: dict[bytes, Paths] = field(default_factory=dict)
    is_open: bool = False  # there are more names than were counted

    def count(self, data: bytes, at: int = 0, depth: int = 0) -> None:
        for key, kind, place in elements(data, at):
            one = self.inner.get(key)
            if one is None:
                if len(self.inner) >= _MOST_NAMES:
                    self.is_open = True
                    continue
                one = self.inner[key] = Paths()
            one.kinds[kind] += 1
            if kind == DOCUMENT and depth < _DEEPEST:
                one.count(data, place, depth + 1)

    def found(self, before: str = "") -> Iterator[tuple[str, Counter[int]]]:
        for key, one in self.inner.items():
            path = before + key.decode(errors="backslashreplace")
            yield path, one.kinds
            yield from one.found(f"{path}.")


def described(kinds: Counter[int]) -> str:
    """For people: the types of values, with counts where there are several."""
    if len(kinds) == 1:
        return KINDS.get(next(iter(kinds)), "unknown")
    return ", ".join(f"{KINDS.get(kind, 'unknown')} {many:,}" for kind, many in kinds.most_common())


@dataclass(slots=True)
class Ids:
    """The values of `_id`."""

    kinds: Counter[int] = field(default_factory=Counter)
    are_whole: bool = True  # numbers without fraction, of 64 bits
    are_finite: bool = True
    are_uuids: bool = True

    def count(self, data: bytes) -> None:
        for key, kind, at in elements(data):
            if key == b"_id":
                self.kinds[kind] += 1
                if kind not in (INT, LONG, OBJECT_ID):
                    self._look(data, kind, at)
                return

    def _look(self, data: bytes, kind: int, at: int) -> None:
        if kind == BINARY and self.are_uuids:
            subtype, found = binary_at(data, at)
            self.are_uuids = subtype == _UUID_SUBTYPE and len(found) == 16
        if kind in (DOUBLE, DECIMAL):
            if self.are_whole:
                try:
                    integer_at(data, kind, at)
                except Misfit:
                    self.are_whole = False
            if kind == DOUBLE:
                self.are_finite &= isfinite(double_at(data, at))
            else:
                self.are_finite &= decimal_at(data, at).to_decimal().is_finite()

    def field(self) -> Field:
        """The field for `_id`: the type that all of them have, otherwise their Extended JSON as
        text."""
        kinds = set(self.kinds)
        if not kinds or kinds == {OBJECT_ID} or kinds == {STRING}:
            return Field(ID, Type(Sort.TEXT), ID)
        if kinds <= {INT, LONG, DOUBLE, DECIMAL} and self.are_finite:
            sort = Type(Sort.INTEGER, bits=64) if self.are_whole else Type(Sort.DECIMAL)
            return Field(ID, sort, ID)
        if kinds == {BINARY} and self.are_uuids:
            return Field(ID, Type(Sort.UUID), ID)
        if kinds == {DATE}:
            return Field(ID, Type(Sort.INSTANT), ID)
        return Field(ID, Type(Sort.TEXT), EXTENDED)
