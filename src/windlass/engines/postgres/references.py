"""Which objects of a database refer to which others. Reads only; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.plan import Address


@dataclass(frozen=True, slots=True)
class Reference:
    """An object, or a part of one, that depends on another object."""

    kind: str  # of the part: VIEW, RULE, FK CONSTRAINT, COLUMN, OBJECT ...
    top: Address  # the whole object
    part: Address
    object: str  # the part, for people
    schema: str  # of the top; "" for what lives in none
    to: Address
    refers_to: str  # its name for people
    column: str = ""  # of what it refers to, if that has columns
    relation: str = ""  # whose column has it for a default ...
    default_of: str = ""  # ... this one ...
    expression: str = ""  # ... namely


def read_references(connection: Connection) -> list[Reference]:
    """All references between two user objects."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("references")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (references)", side="target") from error
    return [
        Reference(
            kind=row["kind"],
            top=(row["top_class"], row["top_oid"]),
            part=(row["part_class"], row["part_oid"]),
            object=row["object"],
            schema=row["schema"],
            to=(row["to_class"], row["to_oid"]),
            refers_to=row["refers_to"],
            column=row["refers_to_column"],
            relation=row["relation"],
            default_of=row["column"],
            expression=row["expression"],
        )
        for row in rows
    ]
