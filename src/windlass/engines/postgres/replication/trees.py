"""Partition trees and types of a server, as a stream of its changes names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Leaf:
    """A partition that holds rows. A foreign table has no changes in the log."""

    oid: int
    name: Name
    root: Name
    is_table: bool


def read_leaves(connection: Connection, *, side: str) -> list[Leaf]:
    with explaining("reading partitions", side=side):
        rows: list[Any] = connection.execute(load("partition_leaves")).fetchall()
    return [
        Leaf(oid, Name(schema, name), Name(root_schema, root_name), is_table)
        for oid, schema, name, is_table, root_schema, root_name in rows
    ]


def read_user_types(connection: Connection, *, side: str) -> dict[int, Name]:
    """The types that are not built in, by their ids on this server."""
    with explaining("reading types", side=side):
        rows: list[Any] = connection.execute(load("user_types")).fetchall()
    return {oid: Name(schema, name) for oid, schema, name in rows}
