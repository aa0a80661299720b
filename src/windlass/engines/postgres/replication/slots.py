"""Replication slots: what a server keeps of its log for one reader.

Creates slots, with the snapshot that they begin after; reads their state; drops them. Whether a
slot that holds much of the log must go is decided elsewhere.
"""

from __future__ import annotations

import re
import select
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.replication.connecting import connect
from windlass.engines.postgres.replication.lsn import Lsn, parse
from windlass.errors import ConnectionLost, SlotLost, WindlassError

if TYPE_CHECKING:
    from windlass.engines.postgres.session import Address, Connection

_FIRST_WORDS = re.compile(r"\s*([A-Za-z]+(?:\s+[A-Za-z_][\w.]*){0,2})")


@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot as its server shows it."""

    name: str
    plugin: str
    database: str
    is_temporary: bool
    active_pid: int | None  # of the session that reads it
    restart_lsn: int | None  # from here on the log is kept; None if nothing is
    confirmed_lsn: int | None
    wal_status: str  # reserved, extended, unreserved, lost; empty before 13
    retained_bytes: int  # of the log
    room_bytes: int | None  # until the server removes what the slot needs; None: no limit
    invalidated: str  # why it is useless, since 17

    @property
    def is_lost(self) -> bool:
        """Whether the server has removed what the slot needs."""
        return self.restart_lsn is None or self.wal_status == "lost" or bool(self.invalidated)


class HeldSlot:
    """A slot that was just made, and the session whose snapshot it begins after.

    The snapshot has exactly what was committed before `consistent_point`; the slot sends the rest.
    The snapshot exists until `release`, or until the session dies. A temporary slot ends with the
    session.
    """

    def __init__(self, connection: Connection, name: str, point: Lsn, snapshot: str) -> None:
        self._connection = connection
        self.name, self.consistent_point, self.snapshot = name, point, snapshot

    @property
    def is_alive(self) -> bool:
        """Whether the session exists, as far as this end knows. It must not be asked: any command
        would end the snapshot."""
        pgconn = self._connection.pgconn
        try:
            if select.select([pgconn.socket], [], [], 0)[0]:
                pgconn.consume_input()
        except (psycopg.Error, OSError, ValueError):
            return False
        return not self._connection.closed and not self._connection.broken

    def release(self) -> None:
        """End the session, and with it the snapshot."""
        self._connection.close()


def create(
    address: Address,
    like: Connection,
    purpose: str,
    name: str,
    *,
    is_temporary: bool = False,
    survives_failover: bool = False,
    wait_seconds: float = 30.0,
) -> HeldSlot:
    """Make a slot for `pgoutput` on the server that `like` reached, with an exported snapshot.

    The server waits until all transactions that had already written have ended. With
    `survives_failover` (17 and newer), standbys get the slot too.

    Raises:
        ConnectionLost: transactions did not end within `wait_seconds`; the hint names them. No slot
            is left.
        WindlassError: it cannot be made, such as for lack of rights.
    """
    connection = connect(
        address, like, purpose, {"lock_timeout": f"{max(1, round(wait_seconds * 1000))}ms"}
    )
    kept = sql.SQL("TEMPORARY " if is_temporary else "")
    options = sql.SQL("EXPORT_SNAPSHOT")
    if survives_failover and not is_temporary and like.info.server_version >= 170000:
        options = sql.SQL("(SNAPSHOT 'export', FAILOVER true)")
    command = sql.SQL("CREATE_REPLICATION_SLOT {} {}LOGICAL pgoutput {}").format(
        sql.Identifier(name), kept, options
    )
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            row: Any = cursor.execute(command).fetchone()
    except BaseException as error:
        connection.close()
        if not isinstance(error, psycopg.Error):
            raise
        raise _explain_creating(error, like, name, address.side, wait_seconds) from error
    return HeldSlot(
        connection, row["slot_name"], parse(row["consistent_point"]), row["snapshot_name"]
    )


def read_slots(connection: Connection, names: str, *, side: str) -> list[SlotState]:
    """Slots whose name is LIKE `names`, in any database of the server."""
    query = sql.SQL("select * from ({}) as found where name like {} order by name").format(
        load("replication_slots"), sql.Literal(names)
    )
    try:
        with connection.cursor(row_factory=class_row(SlotState)) as cursor:
            return cursor.execute(query).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading replication slots", side=side) from error


def read_slot(connection: Connection, name: str, *, side: str) -> SlotState | None:
    pattern = re.sub(r"([\\%_])", r"\\\1", name)
    return next(iter(read_slots(connection, pattern, side=side)), None)


def drop(connection: Connection, name: str, *, side: str) -> bool:
    """Drop a slot that nobody reads; False if it is not there.

    Raises:
        ConnectionLost: a session reads it.
    """
    try:
        found = connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
            " where slot_name = %s",
            (name,),
        )
    except psycopg.errors.UndefinedObject:
        return False  # somebody was faster
    except psycopg.Error as error:
        raise explain_slot(error, connection, name, side=side) from error
    return found.rowcount == 1


def explain_slot(error: psycopg.Error, like: Connection, name: str, *, side: str) -> WindlassError:
    """Our error for a slot that cannot be used; `like` is an ordinary session of that server."""
    found = explain(error, f"slot {name}", side=side)
    if error.sqlstate == "55006":
        return _in_use(like, name, side)
    if error.sqlstate in ("42704", "55000", "58P01") and _is_lost(like, name, side):
        return SlotLost(
            f"the {side} no longer keeps the changes that are missing: {found}",
            side=side,
            slot=name,
        )
    return found


def _is_lost(like: Connection, name: str, side: str) -> bool:
    """The messages differ between versions, so the server is asked."""
    state = read_slot(like, name, side=side)
    return state is None or state.is_lost


def _in_use(like: Connection, name: str, side: str) -> ConnectionLost:
    """Who reads the slot."""
    pid, application = None, ""
    try:
        row = like.execute(
            "select s.active_pid, coalesce(a.application_name, '') from pg_replication_slots s"
            " left join pg_stat_activity a on a.pid = s.active_pid where s.slot_name = %s",
            (name,),
        ).fetchone()
        pid, application = (row[0], str(row[1])) if row else (None, "")
    except psycopg.Error as error:
        raise explain(error, "reading replication slots", side=side) from error
    by = f"pid {pid} of the {side}" + (f" ({application})" if application else "")
    return ConnectionLost(
        f"slot {name} is in use by {by if pid else f'another session of the {side}'}",
        hint="another process follows; or the server has not noticed within a minute that an"
        " earlier connection is gone",
        side=side,
        pid=pid,
    )


@dataclass(frozen=True, slots=True)
class Running:
    """A transaction that has written and has not ended."""

    pid: int  # 0: it is prepared
    name: str  # of the prepared transaction, or of the session's program
    user: str
    state: str
    age_seconds: float
    query: str

    def __str__(self) -> str:
        """Without more of the query than its first words, as the rest may hold values."""
        who = f"pid {self.pid}" if self.pid else f"prepared transaction {self.name}"
        words = [f"user {self.user}"] if self.user else []
        words += [f"open for {self.age_seconds:.0f} s"]
        words += [self.name] if self.pid and self.name else []
        words += [self.state] if self.state else []
        if begins := _FIRST_WORDS.match(self.query):
            words.append(f"{' '.join(begins[1].split())} ...")
        return f"{who} ({', '.join(words)})"


def read_running(connection: Connection, *, side: str) -> list[Running]:
    """Transactions of the whole server that have written and not ended, oldest first. A new slot
    waits for them."""
    try:
        with connection.cursor(row_factory=class_row(Running)) as cursor:
            return cursor.execute(load("running_transactions")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading open transactions", side=side) from error


def _explain_creating(
    error: psycopg.Error, like: Connection, name: str, side: str, wait_seconds: float
) -> WindlassError:
    """Drop a slot that was created in spite of the error."""
    if error.sqlstate == "42710":
        return WindlassError(f"slot {name} is already on the {side}", side=side)
    found = explain(error, f"creating slot {name}", side=side)
    if isinstance(found, ConnectionLost):
        drop(like, name, side=side)
    if error.sqlstate != "55P03":
        return found
    blockers = read_running(like, side=side)
    who = "; ".join(map(str, blockers[:5])) or "they have ended since"
    return ConnectionLost(
        f"creating slot {name}: after {wait_seconds:g} s the {side} still waits for transactions"
        f" that were open before: {who}",
        hint="wait until they have ended, or end them with pg_terminate_backend (ROLLBACK PREPARED"
        " for prepared ones)",
        side=side,
        pids=[one.pid for one in blockers],
    )
