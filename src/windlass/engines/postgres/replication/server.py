"""Which changes of a server can be read: who owns its relations, and which of them are logged."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class ReplicationRelation:
    """A relation with rows."""

    schema: str
    name: str
    is_owned: bool  # by this session's user, which publishing requires
    owner: str
    is_unlogged: bool

    @property
    def named(self) -> Name:
        return Name(self.schema, self.name)


def read_replication_relations(
    connection: Connection, *, side: str
) -> dict[Name, ReplicationRelation]:
    """Every relation with rows that is kept between sessions, by its name."""
    with (
        explaining("reading owners", side=side),
        connection.cursor(row_factory=class_row(ReplicationRelation)) as cursor,
    ):
        found = cursor.execute(load("replication_relations")).fetchall()
    return {one.named: one for one in found}
