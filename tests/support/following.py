"""Servers, publications, slots and streams for tests of following.

The run's servers have `wal_level = logical`. The fixture `logical` makes databases on them, and
drops their slots before them. Within a worker no other test runs beside, so a new slot waits for
nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from servers import Database
from windlass.engines.postgres.replication import publications, slots, stream
from windlass.engines.postgres.replication.connecting import SENDER_TIMEOUT_SECONDS
from windlass.engines.postgres.replication.decode import Decoder
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn
from windlass.engines.postgres.replication.messages import Message
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.model.relation import Name

SLOT, PUBLICATION = "windlass_t_forward", "windlass_t_forward"


def address_of(database: Database, port: int | None = None) -> Address:
    return Address.parse("source", database.url_for(port=port))


@contextmanager
def session(database: Database, port: int | None = None) -> Iterator[Connection]:
    connection = address_of(database, port).connect(Role.TARGET, "windlass test")
    try:
        yield connection
    finally:
        connection.close()


def publish(database: Database, *relations: str, name: str = PUBLICATION) -> None:
    """Relations of schema public unless they are qualified."""
    with session(database) as connection:
        published = [
            publications.Published(Name(schema or "public", table))
            for schema, _, table in (one.rpartition(".") for one in relations)
        ]
        publications.create(connection, name, published, side="source")


def make_slot(database: Database, name: str = SLOT) -> Lsn:
    """A permanent slot; returns its consistent point."""
    with session(database) as connection:
        held = slots.create(address_of(database), connection, "windlass test", name)
        held.release()
        return held.consistent_point


def drop_slots(database: Database) -> None:
    """End whoever reads a slot of this database, and drop all of them."""
    with database.connect() as connection:
        for pid, name in connection.execute(
            "select active_pid, slot_name from pg_replication_slots where database = %s",
            (database.name,),
        ).fetchall():
            if pid:
                connection.execute("select pg_terminate_backend(%s)", (pid,))
            for _ in range(1000):
                with suppress(psycopg.errors.ObjectInUse):
                    connection.execute("select pg_drop_replication_slot(%s)", (name,))
                    break
                time.sleep(0.01)


@contextmanager
def streaming(
    database: Database,
    *,
    name: str = SLOT,
    after: Lsn = NOWHERE,
    port: int | None = None,
    with_messages: bool = False,
    sender_timeout_seconds: int = SENDER_TIMEOUT_SECONDS,
) -> Iterator[stream.Stream]:
    address = address_of(database, port)
    with session(database, port) as connection:
        found = stream.start(
            address,
            connection,
            "windlass test stream",
            name,
            [PUBLICATION],
            after=after,
            with_messages=with_messages,
            sender_timeout_seconds=sender_timeout_seconds,
        )
    try:
        yield found
    finally:
        found.close()


def messages_until(
    found: stream.Stream, is_last: type, count: int = 1, seconds: float = 30.0
) -> list[Message]:
    """What comes, until `count` messages of the kind `is_last` have come."""
    decoder = Decoder()
    messages: list[Message] = []
    deadline = time.monotonic() + seconds
    while sum(type(one) is is_last for one in messages) < count:
        assert time.monotonic() < deadline, f"only {messages!r} came"
        messages += map(decoder.decode, found.read(1.0))
    return messages


def of_kind(messages: Sequence[Message], kind: type) -> list[Message]:
    return [one for one in messages if type(one) is kind]
