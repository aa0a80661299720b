"""Undoes what the target's default privileges granted on objects that a run created: these get the
source's grants and no others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

from windlass.engines.postgres.catalog import Signed, read_existing
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.plan import Address
from windlass.model.relation import Name

_ROUTINES = {"AGGREGATE", "FUNCTION", "PROCEDURE"}


def undo_default_grants(connection: Connection, made: Collection[tuple[str, Name]]) -> None:
    """Undo default grants on the objects of these kinds and names, inside the caller's transaction,
    before any other grant. Does nothing if there are no default privileges."""
    try:
        if connection.execute("select from pg_default_acl limit 1").fetchone() is None:
            return
        addresses = made_addresses(connection, made)
        rows: list[Any] = connection.execute(load("default_grants")).fetchall()
        for class_, oid, _, statement in rows:
            if (class_, oid) in addresses:
                connection.execute(statement.encode())
    except psycopg.Error as error:
        raise explain(error, "undoing default privileges", side="target") from error


def made_addresses(connection: Connection, made: Collection[tuple[str, Name]]) -> set[Address]:
    """The catalog addresses of the objects of these kinds and names."""
    return {
        address
        for signed, address in read_existing(connection).addresses.items()
        if (signed[0], _tag(signed)) in made
    }


def _tag(signed: Signed) -> Name:
    """The name, as the archive writes it."""
    kind, schema, name, signature = signed
    return Name(schema, f"{name}({signature})" if kind in _ROUTINES else name)
