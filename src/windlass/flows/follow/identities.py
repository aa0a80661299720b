"""Replica identities that a run sets at the user's request, and restores at its end.

What a table had is journalled before it is changed. Both sides get the same, so that the way back
can name rows as well, and definitions stay equal.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection, sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.readiness import read_stream_relations
from windlass.errors import WindlassError
from windlass.model.relation import Name
from windlass.planning.postgres.identities import Choice, choice_of

Session = Connection[Any]
Set = Sequence[Any]  # of JSON: the table's object id, its name, what it had, what it has now
IDENTITIES = "identities"  # in the details of a run: by side, what was set
LOCK_SECONDS = 2.0  # others wait behind us for so long
PATIENCE_SECONDS = 60.0
_WORDS = {"d": "default", "n": "nothing", "f": "full"}


def chosen(session: Session, names: Iterable[Name]) -> dict[Name, Choice]:
    """The replica identity for each table without a usable one."""
    found = read_stream_relations(session)
    pairs = ((name, choice_of(found[name])) for name in names if name in found)
    return {name: choice for name, choice in pairs if choice is not None}


def to_set(session: Session, choices: Mapping[Name, Choice]) -> list[Set]:
    """What is about to be changed, for the journal."""
    found: list[Set] = []
    for name, choice in choices.items():
        row: Any = session.execute(
            "select oid::bigint, relreplident::text from pg_class where oid = to_regclass(%s)",
            (_quoted(name).as_string(session),),
        ).fetchone()
        found.append([row[0], str(name), row[1], choice.identity, choice.index])
    return found


def set_identities(session: Session, what: Sequence[Set], *, side: str) -> None:
    """Set the journalled identities; those that are set already stay.

    Raises:
        WindlassError: a table is in use for too long.
    """
    for oid, name, _, now, index in what:
        if _now(session, oid) not in (None, now):
            _alter(session, oid, name, now, index, side=side)


def put_back(session: Session, what: Sequence[Set], *, side: str) -> None:
    """Restore the identities, unless others have changed them since."""
    for oid, name, before, now, _ in what:
        if _now(session, oid) == now:
            _alter(session, oid, name, before, "", side=side)


def left_of_identities(session: Session, what: Sequence[Set]) -> Iterator[str]:
    """Tables that still have the identity that the run set, for people."""
    for oid, name, before, now, _ in what:
        if _now(session, oid) == now and now != before:
            yield f"replica identity of {name}"


def _now(session: Session, oid: int) -> str | None:
    """None: the table is gone."""
    row: Any = session.execute(
        "select relreplident::text from pg_class where oid = %s::oid", (oid,)
    ).fetchone()
    return str(row[0]) if row else None


def _alter(session: Session, oid: int, name: str, to: str, index: str, *, side: str) -> None:
    row: Any = session.execute(
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.oid = %s::oid",
        (oid,),
    ).fetchone()
    how = (
        sql.SQL("using index {}").format(sql.Identifier(index))
        if to == "i"
        else sql.SQL(_WORDS[to])
    )
    statement = sql.SQL("alter table only {} replica identity {}").format(_quoted(Name(*row)), how)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with explaining(f"setting the replica identity of {name}", side=side):
                with session.transaction():
                    session.execute(f"set local lock_timeout = '{LOCK_SECONDS:g}s'")
                    session.execute(statement)
                return
        except WindlassError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise
            if time.monotonic() > deadline:
                message = f"{name} is in use all the time: its replica identity cannot be set"
                hint = "end the transactions that use it, then run the same command again"
                raise WindlassError(message, hint=hint, side=side) from error


def _quoted(name: Name) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)
