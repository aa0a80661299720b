"""A database's relations and sequences, and which of them this session may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Present:
    """A relation or a sequence. `hides_rows`: row security would hide some rows from this user."""

    kind: str  # pg_class.relkind
    reachable: bool  # USAGE on its schema
    selectable: bool  # SELECT on all of it, as far as reading it or pg_dump needs that
    hides_rows: bool
    parents: tuple[Name, ...] = ()  # its rows are visible in these too

    @property
    def readable(self) -> bool:
        return self.reachable and self.selectable

    @property
    def takes_rows(self) -> bool:
        """Whether it is a table, partitioned or not."""
        return self.kind in ("r", "p")


def read_presence(connection: Connection, *, side: str) -> Mapping[Name, Present]:
    """All user relations and sequences, by name. One light query, even for thousands of
    relations."""
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(load("presence")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (presence)", side=side) from error
    return {
        Name(row["schema"], row["name"]): Present(
            row["kind"],
            row["reachable"],
            row["selectable"],
            row["hides_rows"],
            tuple(Name(*parent) for parent in row["parents"]),
        )
        for row in rows
    }
