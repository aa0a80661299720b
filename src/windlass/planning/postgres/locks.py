"""Whether the servers' lock tables have room for the locks of a run and of pg_dump."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.engines.postgres.locks import LockRoom, take_locks
from windlass.engines.postgres.trial import TryOut
from windlass.model.plan import MOST_STATEMENTS
from windlass.model.relation import Kind, Name, Relation
from windlass.model.report import Problem

# locks of a statement: of a table with its key, its TOAST table and that one's index
PER_STATEMENT = 4
_LOCKED_BY_PG_DUMP = {Kind.TABLE, Kind.PARTITIONED}


def locked_tables(relations: Iterable[Relation]) -> set[Name]:
    """The tables that pg_dump locks, all at once."""
    return {relation.name for relation in relations if relation.kind in _LOCKED_BY_PG_DUMP}


def most_statements(room: LockRoom, jobs: int) -> int:
    """The most statements per transaction, if `jobs` transactions in parallel may use half of the
    lock table."""
    return max(1, min(MOST_STATEMENTS, room.locks // (2 * PER_STATEMENT * jobs)))


def target_lock_problems(tables: int, room: LockRoom, try_out: TryOut) -> list[Problem]:
    """Room for the dump at the end that is compared. If it needs more than the settings guarantee,
    that is tried: a server has some room to spare."""
    if tables <= room.locks or not try_out([take_locks(tables)]):
        return []
    return [lock_problem("target", tables, room)]


def lock_problem(side: str, tables: int, room: LockRoom) -> Problem:
    return Problem(
        side,
        f"pg_dump locks {tables:,} tables at once, and the server has room for about"
        f" {room.locks:,} locks (max_locks_per_transaction {room.per_transaction} × {room.sessions}"
        " of max_connections + max_prepared_transactions)",
        f"set max_locks_per_transaction = {room.setting_for(tables)} on the {side} and restart it",
    )
