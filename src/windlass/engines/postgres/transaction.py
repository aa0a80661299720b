"""Transactions with few round trips: the first statements are sent with BEGIN, the last ones with
COMMIT."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import psycopg

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection

Row = tuple[object, ...]
ONE_SNAPSHOT = "set transaction isolation level repeatable read"  # as the first statement
_SAVE = b"savepoint windlass_script;\n"
_RELEASE = b"\n;release savepoint windlass_script"
_BACK = b"rollback to savepoint windlass_script; release savepoint windlass_script"


@dataclass(slots=True)
class Begun:
    """An open transaction: the first row of each statement sent with BEGIN, and the statements to
    send with COMMIT."""

    answers: Sequence[Row | None]
    last: list[str] = field(default_factory=list)  # statements that run with COMMIT


@contextlib.contextmanager
def begun(connection: Connection, *first: str) -> Iterator[Begun]:
    """A transaction of a session in autocommit; `first` runs with BEGIN, `last` with COMMIT.

    Rolled back if anything in it raises.
    """
    try:
        found = Begun(_answers(connection.execute(_script("begin", *first), prepare=False)))
        yield found
        connection.execute(_script(*found.last, "commit"), prepare=False)
    except BaseException:
        if not connection.closed:
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
        raise


@contextlib.contextmanager
def working(connection: Connection, doing: str, *first: str, side: str) -> Iterator[Begun]:
    """`begun` for a piece of work of that name, with the driver's errors mapped to ours."""
    with explaining(doing, side=side), begun(connection, *first) as transaction:
        yield transaction


working_on_target = partial(working, side="target")
working_in_place = partial(working, side="database")


def run_saved(connection: Connection, script: str) -> None:
    """Run statements in one round trip, inside the caller's transaction: all or none.

    Raises:
        psycopg.Error: the first failure. The caller's transaction can continue.
    """
    try:
        connection.execute(_SAVE + script.encode() + _RELEASE, prepare=False)
    except psycopg.Error:
        if not connection.closed:
            with contextlib.suppress(psycopg.Error):
                connection.execute(_BACK, prepare=False)
        raise


def _script(*statements: str) -> bytes:
    return ";\n".join(statements).encode()


def _answers(cursor: psycopg.Cursor[Row]) -> list[Row | None]:
    """The results of all statements except BEGIN."""
    found: list[Row | None] = []
    while cursor.nextset():
        found.append(cursor.fetchone() if cursor.description else None)
    return found
