"""The size of a server's lock table, which all its sessions share."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class LockRoom:
    per_transaction: int  # max_locks_per_transaction
    sessions: int  # max_connections + max_prepared_transactions

    @property
    def locks(self) -> int:
        """The guaranteed number of locks. The server has room for some more, which is left to
        others."""
        return self.per_transaction * self.sessions

    def setting_for(self, locks: int) -> int:
        """The max_locks_per_transaction needed for so many locks at once, plus a tenth for
        others."""
        return ceil(locks * 1.1 / self.sessions)


def read_lock_room(connection: Connection) -> LockRoom:
    try:
        row: Any = connection.execute(load("locks")).fetchone()
    except psycopg.Error as error:
        raise explain(error, "reading the settings of locks", side="database") from error
    return LockRoom(*row)


def take_locks(count: int) -> str:
    """A script that takes so many locks until its transaction ends."""
    statement = sql.SQL(
        "select count(pg_advisory_xact_lock_shared(1987, n)) from generate_series(1, {}) n"
    )
    return statement.format(sql.Literal(count)).as_string(None)
