"""Replica identities: by which columns a change in the stream names the row that it changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.model.relation import Name

if TYPE_CHECKING:
    from windlass.engines.postgres.session import Connection


class IdentityKind(StrEnum):
    """`pg_class.relreplident`."""

    DEFAULT = "d"  # the primary key, if there is one
    INDEX = "i"  # a unique index over columns that are NOT NULL
    FULL = "f"  # the whole old row is sent
    NOTHING = "n"


@dataclass(frozen=True, slots=True)
class Identity:
    """A relation's replica identity."""

    oid: int
    name: Name
    kind: IdentityKind
    columns: tuple[str, ...]  # of the key or index, in its order; empty under FULL
    is_partitioned: bool

    @property
    def is_usable(self) -> bool:
        """Whether UPDATE and DELETE work on the relation once it is published."""
        return self.kind is IdentityKind.FULL or bool(self.columns)


def read_identities(connection: Connection, *, side: str) -> dict[int, Identity]:
    """Of every table of this database that users own, by its oid."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("replica_identities")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading replica identities", side=side) from error
    return {
        row["oid"]: Identity(
            row["oid"],
            Name(row["schema"], row["name"]),
            IdentityKind(row["kind"]),
            tuple(row["columns"]),
            row["is_partitioned"],
        )
        for row in rows
    }
