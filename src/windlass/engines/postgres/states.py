"""Whether a database object has changed since it was read. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.plan import Address


def read_states(connection: Connection, addresses: Collection[Address]) -> dict[Address, str]:
    """A hash of the catalog entries of each existing object: definition, owner, grants, comment.
    Two hashes are equal if none of these was altered in between."""
    given = [[class_ for class_, _ in addresses], [oid for _, oid in addresses]]
    try:
        rows: list[Any] = (
            psycopg.RawCursor(connection).execute(load("object_states"), given).fetchall()
        )
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (dependents)", side="target") from error
    return {(class_, oid): state for class_, oid, state in rows}
