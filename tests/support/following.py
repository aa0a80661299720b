"""Servers, publications, slots and streams for tests of following.

The run's servers have `wal_level = logical`. The fixture `logical` makes databases on them, and
drops their slots before them. Within a worker no other test runs beside, so a new slot waits for
nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from awaiting import until
from servers import Database
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.replication import publications, slots, stream
from windlass.engines.postgres.replication.connecting import SENDER_TIMEOUT_SECONDS
from windlass.engines.postgres.replication.decode import Decoder
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn
from windlass.engines.postgres.replication.messages import (
    UNCHANGED,
    Delete,
    Insert,
    Message,
    Relation,
    Row,
    Truncate,
    Update,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.following.assembling import Rules
from windlass.following.changes import Batch, Change
from windlass.following.follower import Applies, Follower
from windlass.journal import following as journal
from windlass.model.following import Applied, Direction, Purpose
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


# following, with an applier that is as simple as can be

RUN = "t"
FORWARD = Direction.FORWARD


class Simple:
    """Applies each change by one statement, in their order."""

    def __init__(self, session: Connection) -> None:
        self.session = session

    def apply(self, batch: Batch) -> None:
        with explaining("applying", side="target"):
            for change in batch.changes:
                self._apply(change)

    def _apply(self, change: Change) -> None:
        statement: LiteralString
        if isinstance(change, Insert):
            statement = "insert into {table} ({columns}) values ({new})"
            self._change(statement, change.relation, change.new)
        elif isinstance(change, Update):
            statement = "update {table} set ({columns}) = row({new}) where {match}"
            old = change.old or change.new
            assert self._change(statement, change.relation, change.new, old) == 1
        elif isinstance(change, Delete):
            statement = "delete from {table} where {match}"
            assert self._change(statement, change.relation, (), change.old) == 1
        elif isinstance(change, Truncate):
            tables = [sql.Identifier(one.schema, one.name) for one in change.relations]
            self.session.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(tables)))

    def _change(self, text: LiteralString, relation: Relation, new: Row, old: Row = ()) -> int:
        names = [one.name for one in relation.columns]
        sent = {n: v for n, v in zip(names, new, strict=False) if v is not UNCHANGED}
        keys = {
            one.name: value
            for one, value in zip(relation.columns, old, strict=False)
            if one.is_key and value is not UNCHANGED
        }
        match = [
            sql.SQL("{} is not distinct from {}").format(sql.Identifier(n), _literal(v))
            for n, v in keys.items()
        ]
        table = sql.Identifier(relation.schema, relation.name)
        one = sql.SQL("ctid = (select ctid from {} where {} limit 1)").format(
            table, sql.SQL(" and ").join(match)
        )
        statement = sql.SQL(text).format(
            table=table,
            columns=sql.SQL(", ").join(map(sql.Identifier, sent)),
            new=sql.SQL(", ").join(map(_literal, sent.values())),
            match=one if match else sql.SQL("true"),
        )
        return self.session.execute(statement).rowcount


def _literal(value: object) -> sql.Composable:
    return sql.SQL("null") if value is None else sql.Literal(_text(value))


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode()


@dataclass
class Followed:
    """A source and a target with empty journals, and what a follower needs to know of them.

    `source_port` and `target_port` are a proxy's; `make` is what applies.
    """

    source: Database
    target: Database
    source_port: int | None = None
    target_port: int | None = None
    make: Callable[[Connection], Applies] = Simple

    def open_stream(self, after: Lsn) -> stream.Stream:
        address = address_of(self.source, self.source_port)
        with session(self.source, self.source_port) as connection:
            return stream.start(
                address, connection, "windlass test", SLOT, [PUBLICATION], after=after
            )

    def open_target(self) -> tuple[Connection, Applies]:
        address = Address.parse("target", self.target.url_for(port=self.target_port))
        connection = address.connect(Role.TARGET, "windlass test apply")
        connection.execute("set session_replication_role = replica")
        return connection, self.make(connection)

    def begin(self, *relations: str) -> Lsn:
        """Journals on both sides, a publication, a slot, and the position where it begins."""
        text = resources.files("windlass.journal").joinpath("schema.sql").read_text()
        for database in (self.source, self.target):
            database.run(text)
        ours = [f"windlass.{one}" for one in ("applied", "marker", "ddl")]
        publish(self.source, *relations, *ours)
        lsn = make_slot(self.source)
        with session(self.target) as connection:
            journal.begin_applied(connection, RUN, FORWARD, lsn)
        return lsn

    def follower(self, **options: Any) -> Follower:
        rules = Rules(RUN, FORWARD, options.pop("starts", {}))
        return Follower(self, rules, patience_seconds=60.0, **options)

    @contextmanager
    def following(self, **options: Any) -> Iterator[Follower]:
        found = self.follower(**options)
        found.start()
        try:
            yield found
        finally:
            found.stop()

    def mark(self, purpose: Purpose = Purpose.PROOF) -> int:
        with self.source.connect() as connection:
            return journal.write_marker(connection, RUN, FORWARD, purpose)

    def applied(self) -> Applied:
        with self.target.connect() as connection:
            found = journal.read_applied(connection, RUN, FORWARD)
        assert found is not None
        return found

    def catch_up(self, follower: Follower, seconds: float = 60.0) -> None:
        """Wait until all that was written until now is applied."""
        number = self.mark()
        until(lambda: follower.progress.marker >= number or follower.error, "a marker", seconds)
        if follower.error is not None:
            raise follower.error

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """On the target, which must be the same as on the source."""
        found = self.target.rows(query)
        assert found == self.source.rows(query)
        return found


def here(database: Database) -> Lsn:
    """The end of its log."""
    return Lsn(database.value("select (pg_current_wal_insert_lsn() - '0/0')::bigint"))


TABLES = """
create table one (id int primary key, label text, body text);
alter table one alter column body set storage external;
create table log (id int, note text);
alter table log replica identity full;
create table other (id int primary key)
"""
ALL = ["one", "log", "other"]


def with_tables(found: Followed) -> Followed:
    for database in (found.source, found.target):
        database.run(TABLES)
    found.begin(*ALL)
    return found


class Writing:
    """Inserts rows into `log`, each once, until it is stopped."""

    def __init__(self, database: Database) -> None:
        self._database, self._ends = database, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.written = 0

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        with self._database.connect() as connection:
            while not self._ends.wait(0.002):
                self.written += 1
                connection.execute("insert into log values (%s, 'x')", (self.written,))
