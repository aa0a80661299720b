"""The exported snapshot: taking it, holding it, reading in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import SnapshotLost, WindlassError
from windlass.model.snapshot import Snapshot
from windlass.model.units import several

if TYPE_CHECKING:  # it is slow to load, and nothing here makes one
    from windlass.model.relation import Name

# a LOCK TABLE statement of 2,000 names is parsed in milliseconds; longer ones gain nothing
_LOCKS_PER_STATEMENT = 2_000
_MOST_NAMES = 5
# run after rows were read, it shows whether any could be missing; locks now protect them
SINCE = load("rewritten")


class SnapshotHolder:
    """A source session whose open transaction keeps an exported snapshot alive.

    It also holds ACCESS SHARE locks, as pg_dump does: TRUNCATE and DROP are not covered by a
    snapshot, so they have to wait until the copy is through.
    """

    def __init__(self, address: Address, purpose: str, within: str = "") -> None:
        """`within` is another session's snapshot, which this session shares.

        Raises:
            WindlassError: it is not a snapshot, or no longer held.
        """
        self.connection = address.connect(Role.SOURCE, purpose)
        try:
            if within:
                _enter_others(self.connection, within)
            else:
                self.connection.execute("begin isolation level repeatable read, read only")
            row = self.connection.execute(
                "select pg_export_snapshot(), to_char(now() at time zone 'UTC',"
                ' \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\'),'
                " case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
                " else pg_current_wal_lsn() end::text,"
                " pg_backend_pid()"
            ).fetchone()
        except psycopg.Error as error:
            raise explain(error, "exporting a snapshot", side="source") from error
        assert row is not None
        self.id, self.taken_at, self.lsn, pid = (str(value) for value in row)
        self.pid = int(pid)  # the server's

    def numbered(self, number: int) -> Snapshot:
        return Snapshot(number, self.id, self.taken_at, self.lsn)

    def lock(self, names: Iterable[Name]) -> None:
        """Keep the relations from being dropped, truncated or rewritten under the readers, until
        `unlock`.

        Raises:
            SnapshotLost: one was before that, since the snapshot was taken: it would show no rows,
            to a comparison too. The session is closed.
        """
        tables = [
            sql.SQL("only {}").format(sql.Identifier(name.schema, name.name)) for name in names
        ]
        try:
            self.connection.execute("savepoint unlocked")
            for start in range(0, len(tables), _LOCKS_PER_STATEMENT):
                some = sql.SQL(", ").join(tables[start : start + _LOCKS_PER_STATEMENT])
                self.connection.execute(sql.SQL("lock table {} in access share mode").format(some))
            check_seen(self.connection)
        except psycopg.Error as error:
            raise explain(error, "locking the source's relations", side="source") from error
        except SnapshotLost:
            self.close()
            raise

    def unlock(self) -> None:
        """Release the locks of `lock`. The snapshot stays."""
        try:
            self.connection.execute("rollback to unlocked")
        except psycopg.Error as error:
            raise explain(error, "unlocking the source's relations", side="source") from error

    @property
    def alive(self) -> bool:
        """Whether the transaction that holds the snapshot is still open, according to the
        server."""
        try:
            self.connection.execute("select 1")
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        self.connection.close()


_ID = "[0-9A-F]{8}-[0-9A-F]{8}-[0-9]+"
IMPORT = "begin isolation level repeatable read, read only; set transaction snapshot {}"


def enter(connection: Connection, snapshot_id: str) -> None:
    """Begin a read-only transaction that sees the exported snapshot.

    Raises:
        SnapshotLost: it is no longer held.
    """
    try:
        connection.execute(sql.SQL(IMPORT).format(sql.Literal(snapshot_id)))
    except psycopg.Error as error:
        raise lost(error) from error


def _enter_others(connection: Connection, snapshot_id: str) -> None:
    """Enter a snapshot that the user has given. If it no longer exists, retrying does not help."""
    hint = (
        "give what pg_export_snapshot() returned to a session of that database that is still open"
    )
    try:
        enter(connection, snapshot_id)
    except SnapshotLost:
        if re.fullmatch(_ID, snapshot_id):
            message = (
                f"snapshot {snapshot_id} does not exist: the session that exported it has ended"
            )
        else:
            message = f"{snapshot_id} is not the id of a snapshot, such as 00000003-0000001B-1"
        connection.close()
        raise WindlassError(message, hint=hint, side="source") from None


def enter_again(connection: Connection, snapshot_id: str) -> None:
    """End the transaction of `enter`, which releases its locks, and begin another one in the
    snapshot."""
    try:
        connection.execute(f"commit; {import_statement(snapshot_id)}".encode())
    except psycopg.Error as error:
        raise lost(error) from error


def check_seen(connection: Connection) -> None:
    """See `SINCE`.

    Raises:
        SnapshotLost: rows of what the session reads may be missing.
    """
    found = connection.execute(SINCE).fetchall()
    if found:
        raise overtaken([(str(name), bool(has_left)) for name, has_left in found])


def overtaken(found: Sequence[tuple[str, bool]]) -> SnapshotLost:
    """The error for what `SINCE` finds: the names of relations, and whether they have left the
    partitioned table that is read."""
    changed = [name for name, has_left in found if not has_left]
    left = [name for name, has_left in found if has_left]
    parts = []
    if changed:
        parts.append(f"{several(changed, _MOST_NAMES)}: truncated, rewritten or replaced")
    if left:
        parts.append(f"{several(left, _MOST_NAMES)}: dropped, or detached from its table")
    return SnapshotLost(
        f"{'; '.join(parts)} by others after the snapshot was taken, which does not show these"
        " rows",
        hint="run the same command again, which takes another snapshot",
        side="source",
    )


def import_statement(snapshot_id: str) -> str:
    """`enter` as text, for asyncpg."""
    return sql.SQL(IMPORT).format(sql.Literal(snapshot_id)).as_string(None)


def lost(error: BaseException) -> WindlassError:
    """The error for a refused import: the snapshot is lost, unless the connection itself broke.

    The server says 22023 before version 17 and 42704 since for an unknown snapshot, 55000 when the
    holder has just gone (ImportSnapshot in snapmgr.c).
    """
    if getattr(error, "sqlstate", None) in ("22023", "42704", "55000"):
        return SnapshotLost(
            "the exported snapshot is gone: the session that held it has ended", side="source"
        )
    return explain(error, "reading the snapshot", side="source")
