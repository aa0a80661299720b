"""What is read of a collection: which documents, and what each column is made of. A mapping renames
columns, leaves some out, and adds values that are fixed or hashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.mongodb.elements import (
    BINARY,
    DECIMAL,
    DOUBLE,
    INT,
    LONG,
    NULL,
    OBJECT_ID,
    STRING,
    SYMBOL,
    UNDEFINED,
    NoDocument,
    find,
)
from windlass.engines.mongodb.errors import SIDE
from windlass.engines.mongodb.extended import path_of
from windlass.engines.mongodb.values import DOC, ID, Misfit, integer_at, reader
from windlass.errors import WindlassError
from windlass.model.translation import (
    Field,
    Fixed,
    Selected,
    Sort,
    SourceColumn,
    SourceTable,
    Type,
)

Read = Callable[[bytes], str | None]
Hashed = Callable[[str], str]
_PLACE = "v"  # of a fixed value, in a document that has nothing else
_TEXT = Type(Sort.TEXT)
_HASHABLE = (STRING, SYMBOL, OBJECT_ID, BINARY)
_WHOLE = (INT, LONG, DOUBLE, DECIMAL)
_OF_VALUES: Mapping[type, Type] = {
    bool: Type(Sort.BOOLEAN),
    int: Type(Sort.INTEGER, bits=64),
    float: Type(Sort.FLOAT, bits=64),
    str: _TEXT,
}


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the values of columns come from, by their names on the target: `_id`, `doc` or a path;
    or else a fixed value."""

    places: Mapping[str, str]
    fixed: Mapping[str, Fixed]
    hashed: tuple[str, ...] = ()

    def field(self, column: str, type_: Type) -> Field:
        """The field of a column that is neither fixed nor hashed."""
        place = self.places[column]
        return Field(column, type_, "" if place == DOC else place)


def origins_of(table: SourceTable) -> Origins:
    selected = table.selected
    if selected is None:
        return Origins({one.name: _place(one) for one in table.columns}, {})
    assert table.mapping is not None, "a mapped table"
    given = {one.name for one in table.mapping.given}
    paths = {one.name: one.path for one in table.columns}
    fixed = dict(selected.fixed)
    places = {new: paths[new] or column for new, column, _ in selected.columns if column in given}
    return Origins(places, fixed, selected.hashed)


def _place(column: SourceColumn) -> str:
    return column.path or column.name


def filter_of(selected: Selected | None) -> Mapping[str, Any] | None:
    """The condition for documents, as `find` takes it.

    Raises:
        WindlassError: it is none.
    """
    if selected is None or not selected.where:
        return None
    from bson import json_util

    try:
        found: Mapping[str, Any] = json_util.loads(selected.where)
    except (ValueError, TypeError, KeyError) as error:
        raise WindlassError(
            f"where is no filter in Extended JSON: {error}",
            hint="""dates are {"$date": "2026-01-01T00:00:00Z"}, keys {"$oid": "..."}""",
            side=SIDE,
        ) from None
    return found


def type_of_value(value: Fixed) -> Type:
    return _TEXT if value is None else _OF_VALUES[type(value)]


def reader_of(field: Field, selected: Selected | None, hashed: Hashed | None) -> Read:
    """What makes a column's text from a document; see `windlass.engines.mongodb.values.reader`."""
    fixed = dict(selected.fixed) if selected else {}
    if field.name in fixed:
        return _constant(field, fixed[field.name])
    if selected and field.name in selected.hashed:
        return _hashing(field, hashed)
    return reader(field)


def _constant(field: Field, value: Fixed) -> Read:
    """Raises (what is made):
    Misfit: the type does not have the value.
    """
    from bson import encode

    document = encode({_PLACE: value})
    read = reader(Field(field.name, field.type, _PLACE))
    found: list[str | None] = []

    def text(_: bytes) -> str | None:
        if not found:
            found.append(read(document))
        return found[0]

    return text


def _hashing(field: Field, hashed: Hashed | None) -> Read:
    """Hashes texts, whole numbers, ObjectIds and UUIDs, whose text is the same everywhere.

    Raises (what is made):
        Misfit: it is another value.
    """
    path = path_of(field.form or ID)
    plain = reader(Field(field.name, _TEXT, field.form or ID))
    assert hashed is not None, "a plan without a key is refused"

    def text(data: bytes) -> str | None:
        try:
            found = find(data, path)
        except NoDocument as error:
            raise Misfit(error.kind) from None
        if found is None or found[0] in (NULL, UNDEFINED):
            return None
        kind, at = found
        if kind in _WHOLE:
            return hashed(str(integer_at(data, kind, at)))
        if kind not in _HASHABLE:
            raise Misfit(kind)
        return hashed(plain(data) or "")

    return text
