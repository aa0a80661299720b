"""Attributes of an object's definition that pg_dump does not write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True, order=True)
class Attribute:
    """An attribute of an object: pg_dump's word for its kind, and its name (without a schema for a
    schema)."""

    kind: str
    name: Name
    attribute: str

    def __str__(self) -> str:
        where = str(self.name) if self.name.schema else self.name.name
        return f"{self.kind.lower()} {where}"


@dataclass(frozen=True, slots=True)
class Value:
    value: str
    role: str  # the role that it names


def read_attributes(connection: Connection, *, side: str) -> Mapping[Attribute, Value]:
    """Attributes that differ from those of a new object."""
    try:
        rows = connection.execute(load("attributes")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (attributes)", side=side) from error
    return {
        Attribute(str(kind), Name(str(schema), str(name)), str(attribute)): Value(
            str(value), str(role)
        )
        for kind, schema, name, attribute, value, role in rows
    }
