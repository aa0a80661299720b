"""Removes what a run that follows has made on a server: slots first, as they hold the log.

Idempotent; each part is looked for by its name, so it also finds what a killed process has left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import Connection, errors, sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.replication.ddl_trigger import drop_triggers
from windlass.engines.postgres.session import Address, Role
from windlass.errors import WindlassError
from windlass.flows.follow.identities import IDENTITIES, put_back
from windlass.model.following import Direction, stream_name
from windlass.trust.noting import function_name

Session = Connection[Any]
PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05
REMOVED = "removed"  # in the details of a run of which nothing is left
_ROWS = ("applied", "marker", "ddl")  # tables of the journal that also have rows on the source


@contextmanager
def writing(address: Address, purpose: str) -> Iterator[Session]:
    """A session that may write, on either side, even while the side is closed to everybody else."""
    session = address.connect(Role.SOURCE if address.side == "source" else Role.TARGET, purpose)
    try:
        with explaining(f"following from the {address.side}", side=address.side):
            session.execute("set default_transaction_read_only = off")
            yield session
    finally:
        session.close()


def remove_source_side(address: Address, run: str, detail: Mapping[str, Any]) -> None:
    """Remove slot, publication and rows of a run on its source, and restore what it has set there.
    Also removes the schema if the details say that this run made it, and no other run uses it."""
    with writing(address, "windlass remove") as session:
        remove_streams(session, run, side="source")
        put_back(session, detail.get(IDENTITIES, {}).get("source", ()), side="source")
        remove_rows(session, run)
        if detail.get("made_journal"):
            remove_journal(session)


def remove_streams(session: Session, run: str, *, side: str) -> None:
    """Drop the run's slots and publications in this database."""
    if side == "source":
        drop_triggers(session, run, stream_name(run, Direction.FORWARD), side=side)
    with explaining(f"dropping the slots of run {run}", side=side):
        for direction in Direction:
            drop_slot(session, stream_name(run, direction), side=side)
        for direction in Direction:
            name = sql.Identifier(stream_name(run, direction))
            session.execute(sql.SQL("drop publication if exists {}").format(name))


def drop_slot(session: Session, name: str, *, side: str) -> None:
    """Drop a slot of this database, also one that a process reads; nothing if there is none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        row = session.execute(
            "select active_pid, pg_terminate_backend(active_pid) from pg_replication_slots"
            " where slot_name = %s and database = current_database()",
            (name,),
        ).fetchone()
        if row is None:
            return
        try:
            session.execute("select pg_drop_replication_slot(%s)", (name,))
            return
        # its session ends now, or another process dropped the slot
        except (errors.ObjectInUse, errors.UndefinedObject):
            if time.monotonic() > deadline:
                message = f"slot {name} is in use by pid {row[0]}, which does not end"
                raise WindlassError(message, hint="end that process", side=side) from None
            time.sleep(_POLL_SECONDS)


def remove_rows(session: Session, run: str) -> None:
    """Delete the run's rows in the tables that are on the source as well."""
    with explaining(f"removing the rows of run {run}", side="source"), session.transaction():
        for table in _ROWS:
            place = sql.Identifier("windlass", table)
            if _exists(session, f"windlass.{table}"):
                session.execute(sql.SQL("delete from {} where run = %s").format(place), (run,))


def remove_journal(session: Session) -> None:
    """Drop the schema, if no run is recorded in it."""
    with explaining("removing the journal", side="source"), session.transaction():
        if not _exists(session, "windlass.run"):
            return
        for table in ("run", *_ROWS):
            place = sql.Identifier("windlass", table)
            session.execute(sql.SQL("lock table {} in access exclusive mode").format(place))
            if session.execute(sql.SQL("select from {} limit 1").format(place)).fetchone():
                return
        session.execute("drop schema windlass cascade")


def left_of(session: Session, run: str) -> list[str]:
    """The slots, publications and event triggers of a run that are still there, for people."""
    pattern = f"^windlass_{run}_(forward|back)"
    rows = session.execute(
        "select 'slot ' || slot_name from pg_replication_slots where slot_name ~ %s"
        " union all select 'publication ' || pubname from pg_publication where pubname ~ %s"
        " union all select 'function ' || proname from pg_proc where proname = %s"
        " union all select 'event trigger ' || evtname from pg_event_trigger where evtname ~ %s"
        " order by 1",
        (pattern, pattern, function_name(run), pattern),
    ).fetchall()
    return [str(name) for (name,) in rows]


def _exists(session: Session, table: str) -> bool:
    row = session.execute("select pg_catalog.to_regclass(%s::text)", (table,)).fetchone()
    return bool(row and row[0])
