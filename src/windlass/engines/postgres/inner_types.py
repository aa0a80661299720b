"""The types inside a column's values (lists and composites), from the catalog.

How many dimensions an array has is not part of its type: the declaration (``int[][]``) says it, or
else the user. Values that have others are refused when they are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from psycopg import sql
from psycopg.rows import class_row

from windlass.engines.postgres import queries
from windlass.engines.postgres.column_kinds import column_of
from windlass.engines.postgres.session import Connection
from windlass.model.export import Column, Kind, Nested


@dataclass(frozen=True, slots=True)
class InnerType:
    """A row of ``sql/inner_types.sql``. Other types are named by oid; 0 means none."""

    oid: int
    name: str
    kind: str  # pg_type.typtype
    element: int  # of an array
    delimiter: str  # between elements
    base: int  # of a domain
    modifier: int  # of a domain's base type
    dimensions: int  # of a domain over an array
    field_names: list[str]
    field_types: list[int]
    field_modifiers: list[int]
    field_dimensions: list[int]
    field_written: list[str]


class InnerTypes:
    """Those that some types are made of."""

    def __init__(self, connection: Connection, oids: Collection[int]) -> None:
        self._found: dict[int, InnerType] = {}
        needed = set(oids)
        while needed:
            query = sql.SQL("select * from ({}) as types where oid = any(%s)")
            with connection.cursor(row_factory=class_row(InnerType)) as cursor:
                rows = cursor.execute(
                    query.format(queries.load("inner_types")), (list(needed),)
                ).fetchall()
            self._found |= {one.oid: one for one in rows}
            inside = {oid for one in rows for oid in (one.element, one.base, *one.field_types)}
            needed = inside - {0, *self._found}

    def column(self, column: Column, oid: int, modifier: int, dimensions: int) -> Column:
        """A described column, with the types inside its values if there are any. A list of plain
        values that Arrow can read stays a list."""
        if column.is_list and dimensions <= 1:
            return column
        inside = self._inside(oid, modifier, dimensions)
        if inside is None:
            return column
        return Column(column.name, column.type, Kind.NESTED, inside=inside)

    def _inside(self, oid: int, modifier: int, dimensions: int) -> Nested | None:
        found = self._found[oid]
        if found.kind == "d":
            return self._inside(found.base, found.modifier, dimensions or found.dimensions)
        if found.element and found.delimiter == ",":
            name = self._found[found.element].name
            of = self._named("element", found.element, modifier, 0, name)
            return Nested(dimensions=max(dimensions, 1), of=of)
        if found.field_names:
            return Nested(fields=tuple(self._fields(found)))
        return None

    def _fields(self, found: InnerType) -> Iterator[Column]:
        for name, oid, modifier, dimensions, written in zip(
            found.field_names,
            found.field_types,
            found.field_modifiers,
            found.field_dimensions,
            found.field_written,
            strict=True,
        ):
            yield self._named(name, oid, modifier, dimensions, written)

    def _named(self, name: str, oid: int, modifier: int, dimensions: int, written: str) -> Column:
        base = self._found[oid]
        while base.kind == "d":
            modifier, base = base.modifier, self._found[base.base]
        plain = replace(column_of(name, written, base.oid, modifier), is_list=False)
        return self.column(plain, oid, modifier, dimensions)
