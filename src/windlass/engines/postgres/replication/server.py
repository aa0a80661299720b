"""What a server lets its changes be read by: settings, rights, and whose relations are."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class ReplicationServer:
    """A server, and what this session's user may do there."""

    wal_level: str
    is_standby: bool
    free_slots: int
    free_senders: int
    may_replicate: bool
    may_create: bool  # in this database
    is_superuser: bool
    user: str
    database: str
    is_rds: bool
    prepared: tuple[str, ...]  # transactions, of any database: a new slot waits for their end


@dataclass(frozen=True, slots=True)
class ReplicationRelation:
    """A relation with rows."""

    schema: str
    name: str
    is_owned: bool  # by this session's user, as publishing takes
    owner: str
    is_unlogged: bool

    @property
    def named(self) -> Name:
        return Name(self.schema, self.name)


def read_replication_server(connection: Connection, *, side: str) -> ReplicationServer:
    with (
        explaining("reading what can be replicated", side=side),
        connection.cursor(row_factory=class_row(ReplicationServer)) as cursor,
    ):
        found = cursor.execute(load("replication_server")).fetchone()
    assert found is not None
    return found


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
