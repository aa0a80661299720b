"""Transactions in few round trips: what begins one goes with BEGIN, what ends it with COMMIT."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg

from windlass.engines.postgres.session import Connection

Row = tuple[object, ...]
_SAVE = b"savepoint windlass_script;\n"
_RELEASE = b"\n;release savepoint windlass_script"
_BACK = b"rollback to savepoint windlass_script; release savepoint windlass_script"


@dataclass(slots=True)
class Begun:
    """An open transaction: the first row of each statement that began it, and what will end it."""

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


def run_saved(connection: Connection, script: str) -> None:
    """Statements in one round trip, inside the caller's transaction; none of them if one fails.

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
    """Of every statement but BEGIN."""
    found: list[Row | None] = []
    while cursor.nextset():
        found.append(cursor.fetchone() if cursor.description else None)
    return found
