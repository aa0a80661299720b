"""What a source's log holds of a publication, as batches, and the target that they are applied to.

Reads through `pg_logical_slot_get_binary_changes` and a temporary slot: nothing is left behind, and
a test says when to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servers import Database, Pair
from windlass.engines.postgres.replication.decode import HEADER_BYTES, Decoder
from windlass.engines.postgres.replication.lsn import Lsn
from windlass.engines.postgres.replication.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    Relation,
    Truncate,
    TypeName,
    Update,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.following.applying import Applier, Counts, settle
from windlass.following.changes import Batch
from windlass.following.routes import Routes
from windlass.model.relation import Name

READ = (
    "select data from pg_logical_slot_get_binary_changes('followed', null, null,"
    " 'proto_version', '1', 'publication_names', 'followed')"
)
# the log is read as far as it is on disk, and the tests' servers do not wait for that
FLUSHED = "set synchronous_commit = on; select pg_logical_emit_message(true, 'flush', '')"
HEADER = bytes(HEADER_BYTES)
RELATIONS = (
    "select n.nspname, c.relname, c.oid::int8 from pg_class c join pg_namespace n"
    " on n.oid = c.relnamespace where c.relkind in ('r', 'p')"
    " and n.nspname not in ('pg_catalog', 'information_schema')"
)


@dataclass(slots=True)
class Streamed:
    """A source whose changes are read when a test asks for them, and an applier for the target."""

    pair: Pair
    source: Connection
    target: Connection
    routes: Routes
    decoder: Decoder = field(default_factory=Decoder)
    types: dict[int, Name] = field(default_factory=dict)

    def batch(self) -> Batch:
        """All that was committed since the last time, as one batch."""
        batch = Batch()
        self.pair.source.run(FLUSHED)
        with self.source.cursor(binary=True) as cursor:
            for (data,) in cursor.execute(READ).fetchall():
                assert isinstance(data, bytes)
                self._take(batch, self.decoder.decode(HEADER + data))
        return batch

    def _take(self, batch: Batch, message: object) -> None:
        if isinstance(message, Begin):
            batch.starts.append(len(batch.changes))
            batch.commits.append(message.commit_lsn)
            batch.commit_lsn = message.commit_lsn
        elif isinstance(message, Commit):
            batch.transactions += 1
            batch.end_lsn = Lsn(message.end_lsn)
        elif isinstance(message, TypeName):
            self.types[message.id] = Name(message.schema, message.name)
        elif isinstance(message, Insert | Update | Delete | Truncate | Relation):
            batch.changes.append(message)
            batch.rows += not isinstance(message, Truncate | Relation)

    def apply(self, batch: Batch | None = None, *, in_order: bool = False) -> Counts:
        """Apply what was committed since the last time, in one transaction."""
        batch = batch or self.batch()
        with self.target.transaction():
            return self.applier(in_order=in_order).apply(batch)

    def portions(self, batch: Batch, size: int) -> Iterator[Batch]:
        """A batch of one transaction in several, as a huge one comes."""
        changes = batch.changes
        for start in range(0, len(changes), size):
            yield Batch(
                changes=changes[start : start + size],
                starts=[0],
                commits=batch.commits[:1],
                opens=start == 0,
                closes=start + size >= len(changes),
            )

    def begin_again(self) -> None:
        """As another process would: nothing is known of earlier descriptions."""
        self.routes = Routes(*_names(self.pair.source, {}), self.types)
        self.routes.read(self.target)

    def applier(self, *, in_order: bool = False) -> Applier:
        return Applier(self.target, self.routes, in_order=in_order)


@contextmanager
def streamed(
    pair: Pair, *files: Path, renamed: Mapping[str, str] | None = None
) -> Iterator[Streamed]:
    """Publishes every relation of the source; `renamed` maps schemas. What `files` write is
    streamed as well, and the target gets the schema that they make."""
    pair.source.run(
        "create publication followed for all tables with (publish_via_partition_root = true)"
    )
    with (
        Address.parse("source", pair.source.url).connect(Role.SOURCE, "test") as source,
        Address.parse("target", pair.target.url).connect(Role.TARGET, "test") as target,
    ):
        source.execute("select pg_create_logical_replication_slot('followed', 'pgoutput', true)")
        if files:
            pair.source.load(*files)
            make_empty(pair.target, *files)
        types: dict[int, Name] = {}
        routes = Routes(*_names(pair.source, renamed or {}), types)
        assert settle(target)
        routes.read(target)
        yield Streamed(pair, source, target, routes, types=types)


def _names(
    source: Database, renamed: Mapping[str, str]
) -> tuple[dict[Name, Name], dict[int, Name]]:
    """The relations' names on the target, and by their object ids."""
    names: dict[Name, Name] = {}
    ids: dict[int, Name] = {}
    for schema, name, oid in source.rows(RELATIONS):
        ids[oid] = Name(schema, name)
        names[ids[oid]] = Name(renamed.get(schema, schema), name)
    return names, ids


def make_empty(target: Database, *files: Path) -> None:
    """Make what the files make, without its rows."""
    target.load(*files)
    names = [f"{Name(schema, name)}" for schema, name, _ in target.rows(RELATIONS)]
    target.run(f"truncate {', '.join(names)} cascade")
