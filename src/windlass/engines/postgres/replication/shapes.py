"""The shape of relations: the parts of their definition that decide how rows are applied to them.
Read from a server, or from what its event trigger noted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name
from windlass.trust.noting import shapes_query

_NAMED = (
    "array(select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " join unnest(%(schemas)s::text[], %(names)s::text[]) as asked (schema, name)"
    " on asked.schema = n.nspname and asked.name = c.relname where c.relkind in ('r', 'p'))"
)


@dataclass(frozen=True, slots=True)
class ColumnShape:
    type: Name
    modifier: int
    is_not_null: bool
    has_default: bool
    is_generated: bool
    identity: str  # "": none; a(lways); d(efault)


@dataclass(frozen=True, slots=True)
class ConstraintShape:
    kind: str  # p(rimary), u(nique), f(oreign), c(heck), (e)x(clusion)
    columns: tuple[str, ...]
    refers: Name | None  # of a foreign key


@dataclass(frozen=True, slots=True)
class TypeShape:
    """A type of the user. `parts`: labels, attributes, or base type and constraints."""

    kind: str  # e(num), d(omain), c(omposite)
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A relation as it was at some moment."""

    oid: int
    name: Name
    parent: Name | None  # of a partition
    columns: Mapping[str, ColumnShape]
    constraints: Mapping[str, ConstraintShape]
    types: Mapping[Name, TypeShape]

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Shape:
        return cls(
            found["oid"],
            Name(found["schema"], found["name"]),
            _name(found["parent"]),
            {name: _column(one) for name, one in found["columns"].items()},
            {
                name: ConstraintShape(one["kind"], tuple(one["columns"]), _name(one["refers"]))
                for name, one in found["constraints"].items()
            },
            {
                Name(one["schema"], one["name"]): TypeShape(
                    one["kind"], tuple(map(_frozen, one["parts"] or ()))
                )
                for one in found["types"]
            },
        )


@dataclass(frozen=True, slots=True)
class Noted:
    """What an event trigger noted of a statement."""

    objects: tuple[str, ...]  # for people
    made: tuple[Name, ...]  # new tables, whose rows are not followed yet
    dropped: tuple[Name, ...]
    shapes: tuple[Shape, ...]  # relations that the statement may have changed, as they are after it
    columns: tuple[tuple[Name, str], ...] = ()  # that were dropped

    @classmethod
    def from_text(cls, text: str) -> Noted:
        found = json.loads(text)
        return cls(
            tuple(found["named"]),
            tuple(Name(*one) for one in found["made"]),
            tuple(Name(*one) for one in found["dropped"]),
            tuple(map(Shape.from_json, found["relations"])),
            tuple((Name(*one[:2]), one[2]) for one in found["columns"]),
        )


def read_shapes(connection: Connection, names: Iterable[Name], *, side: str) -> dict[Name, Shape]:
    """The shapes of those relations that exist."""
    asked = [*names]
    values = {"schemas": [one.schema for one in asked], "names": [one.name for one in asked]}
    query = sql.SQL(shapes_query(_NAMED))
    with explaining("reading definitions", side=side):
        rows: list[Any] = connection.execute(query, values).fetchall()
    shapes = (Shape.from_json(found) for (found,) in rows)
    return {shape.name: shape for shape in shapes}


def _column(found: Mapping[str, Any]) -> ColumnShape:
    schema, name, modifier = found["type"]
    return ColumnShape(
        Name(schema, name),
        modifier,
        found["not_null"],
        found["default"],
        found["generated"],
        found["identity"],
    )


def _name(found: list[str] | None) -> Name | None:
    return Name(*found) if found else None


def _frozen(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part
