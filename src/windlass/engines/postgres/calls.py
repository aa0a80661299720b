"""Which routines and operators definitions call, as the server resolved them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """`owner` is the relation that the calling object belongs to. If it has none, only the schema
    is set."""

    kind: str  # "view", "table constraint", "default value", ...
    caller: str
    owner: Name
    routine: Name
    signature: str


def read_calls(connection: Connection, *, side: str) -> list[Call]:
    """Calls from the user's objects to the user's routines; extensions are left out."""
    try:
        rows: list[Any] = connection.execute(load("calls")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (calls)", side=side) from error
    return [
        Call(kind, caller, Name(schema, relation), Name(*routine), signature)
        for kind, caller, schema, relation, *routine, signature in rows
    ]
