"""Whether changes can be followed from a server: settings, rights, identities, what a slot waits
for. Reads only; `windlass.planning.postgres.following` decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import conninfo
from psycopg.rows import class_row

from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import CONNECT_SECONDS, Address, Connection
from windlass.model.relation import Name

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class StreamServer:
    """A server's settings for streams, and this user's rights there."""

    wal_level: str
    is_standby: bool
    max_slots: int
    used_slots: int
    max_senders: int
    used_senders: int
    wal_kept_at_most: str  # -1 means no limit
    is_superuser: bool
    may_replicate: bool
    owns_database: bool
    may_create: bool
    may_end_sessions: bool
    service: str  # rds, cloudsql, azure or neon; empty if it is none that we know


@dataclass(frozen=True, slots=True)
class StreamRelation:
    """How the stream names a row of a table. `identity` is `pg_class.relreplident`."""

    schema: str
    name: str
    kind: str  # r or p
    persistence: str  # p or u
    is_partition: bool
    identity: str
    owned: bool
    owner: str
    has_key: bool
    identity_index: str | None
    unique_index: str | None  # that could be the identity
    has_generated: bool
    size_bytes: int

    @property
    def is_identified(self) -> bool:
        """Whether an UPDATE or DELETE identifies the row."""
        match self.identity:
            case "f":
                return True
            case "i":
                return self.identity_index is not None
            case "d":
                return self.has_key
            case _:
                return False


@dataclass(frozen=True, slots=True)
class OldTransaction:
    """A transaction that a new slot waits for. Prepared ones have an id instead of a process."""

    pid: int
    prepared: str
    user: str
    application: str
    seconds: float
    query: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """One server, as the reader of a stream needs it."""

    server: StreamServer
    relations: Mapping[Name, StreamRelation]
    waiting: tuple[OldTransaction, ...]
    refusal: str  # why the server refuses a replication session; empty if it does not


def read_readiness(connection: Connection, address: Address) -> Readiness:
    """What this session's user could follow there. Opens a replication session for a moment."""
    (server,) = _read(connection, "stream_server", StreamServer)
    return Readiness(
        server=server,
        relations=read_stream_relations(connection),
        waiting=tuple(_read(connection, "old_transactions", OldTransaction)),
        refusal=_refusal(connection, address) if server.may_replicate else "",
    )


def read_stream_relations(connection: Connection) -> dict[Name, StreamRelation]:
    found = _read(connection, "stream_relations", StreamRelation)
    return {Name(one.schema, one.name): one for one in found}


def _read(connection: Connection, query: str, row: type[Row]) -> list[Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(load(query)).fetchall()


def _refusal(connection: Connection, address: Address) -> str:
    """Why a replication session is refused: poolers do not support them, and `pg_hba.conf` has
    separate lines for them."""
    text = conninfo.make_conninfo(
        address.conninfo(connection, "windlass stream check"),
        replication="database",
        connect_timeout=CONNECT_SECONDS,
    )
    try:
        with psycopg.connect(text, autocommit=True) as stream:
            stream.pgconn.exec_(b"IDENTIFY_SYSTEM")
    except psycopg.Error as error:
        return next(iter(str(error).strip().splitlines()), "the server gave no reason")
    return ""
