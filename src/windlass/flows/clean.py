"""What ended runs have left in a target: set-aside schemas and their lines in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.lock import read_holder, try_lock
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.rollback import UNFINISHED, find_run
from windlass.journal import journal
from windlass.model.outcome import State
from windlass.model.report import Problem
from windlass.trust.planted import Room, read_planted

# what is dropped before what: none of these is dropped with what others have made of it
_IN_ORDER = (
    ("drop view {}", "v"),
    ("drop materialized view {}", "m"),
    ("drop foreign table {}", "f"),
    ("drop table {}", "rp"),
    ("drop sequence {}", "S"),
)


@dataclass(frozen=True, slots=True)
class Left:
    """Of one run. Without its journal it can be neither resumed nor rolled back."""

    run: str
    state: State
    finished_at: str
    schemas: tuple[str, ...]
    size_bytes: int


def read_sizes(connection: Connection) -> dict[str, tuple[tuple[str, ...], int]]:
    """By run: the schemas that hold what it has set aside, and their size."""
    rows: list[Any] = connection.execute(
        "select substring(n.nspname::text from '^windlass_(\\d{8}_\\d{4}_[0-9a-f]{4})_'),"
        " n.nspname::text, coalesce(sum(pg_total_relation_size(c.oid))"
        " filter (where c.relkind in ('r', 'm')), 0)::bigint"
        " from pg_namespace n left join pg_class c on c.relnamespace = n.oid"
        " where n.nspname ~ '^windlass_\\d{8}_\\d{4}_[0-9a-f]{4}_' group by 1, 2 order by 1, 2"
    ).fetchall()
    found: dict[str, tuple[tuple[str, ...], int]] = {}
    for run, schema, size in rows:
        schemas, total = found.get(run, ((), 0))
        found[run] = (*schemas, schema), total + size
    return found


def read_left(connection: Connection, run: str = "") -> list[Left]:
    """Of every ended run, the newest first; or of one.

    Raises:
        Refused: there is no such run, or it is unfinished.
    """
    if run and (found := find_run(connection, run)).state in UNFINISHED:
        hint = "resume it, or undo it with windlass rollback, first"
        raise Refused(
            [Problem(f"run {run}", f"is {found.state}, and needs what it has left", hint)]
        )
    runs = journal.read_runs(connection) if journal.exists(connection) else []
    sizes = read_sizes(connection)
    return [
        Left(one.run, one.state, one.finished_at, *sizes.get(one.run, ((), 0)))
        for one in runs
        if one.state not in UNFINISHED and run in ("", one.run)
    ]


def clean(connection: Connection, lefts: Sequence[Left]) -> None:
    """Remove it, run by run, each in a transaction.

    Raises:
        Refused: another run is at work, or something else depends on what was set aside.
    """
    if not lefts:
        return
    if not try_lock(connection):
        message = f"another run is in progress: {read_holder(connection)}"
        raise Refused([Problem("target", message, "wait for it")])
    for left in lefts:
        with connection.transaction():
            connection.execute("set local synchronous_commit = on")
            state: Any = connection.execute(
                "select state from windlass.run where run = %s for update", (left.run,)
            ).fetchone()
            if state is None or State(state[0]) in UNFINISHED:
                continue  # taken up again meanwhile
            for schema in left.schemas:
                _drop(connection, schema)
            connection.execute("delete from windlass.run where run = %s", (left.run,))


def _drop(connection: Connection, schema: str) -> None:
    """With all that is in it, and nothing that is not.

    Raises:
        Refused: something outside depends on it, or it is another role's.
    """
    if problems := [
        one for one in read_planted(connection, Room(schema)) if one.object.startswith("schema ")
    ]:
        raise Refused(problems)
    try:
        for statement, kinds in _IN_ORDER:
            names = _relations(connection, schema, kinds)
            if names:
                connection.execute(sql.SQL(statement).format(sql.SQL(", ").join(names)))
        for query in (_ROUTINES, _TYPES):
            rows: list[Any] = connection.execute(query, (schema,)).fetchall()
            for (drop,) in rows:
                connection.execute(str(drop).encode())
        connection.execute(sql.SQL("drop schema {}").format(sql.Identifier(schema)))
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or "").replace("\n", "; ")
        hint = "drop that, or let it refer to something else"
        raise Refused([Problem(f"schema {schema}", f"is in use: {detail}", hint)]) from None


# put together by the server, which quotes the names
_ROUTINES = (
    "select format('drop %%s %%s', case prokind when 'a' then 'aggregate' when 'p' then 'procedure'"
    " else 'function' end, p.oid::regprocedure) from pg_proc p"
    " join pg_namespace n on n.oid = pronamespace where n.nspname = %s"
)
_TYPES = (
    "select format('drop type %%s', t.oid::regtype) from pg_type t"
    " join pg_namespace n on n.oid = typnamespace left join pg_class c on c.oid = typrelid"
    " where n.nspname = %s and (typtype in ('e', 'd', 'r') or c.relkind = 'c')"
)


def _relations(connection: Connection, schema: str, kinds: str) -> list[sql.Identifier]:
    rows: list[Any] = connection.execute(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relkind::text = any(%s) and not c.relispartition"
        # a column's own sequence is dropped with it
        " and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass"
        "  and d.objid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0)",
        (schema, list(kinds)),
    ).fetchall()
    return [sql.Identifier(schema, name) for (name,) in rows]
