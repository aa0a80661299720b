"""Earlier backups of a table: how many stay, and under which names.

The newest has the table's name in the backup schema, those before it `windlass_RUN`. A comment on
each says which table and which run it is of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier
from windlass.model.relation import Name
from windlass.model.rewrite import RewritePlan

_COMMENT = "Backup of {} by windlass run {}."
_OWNER = re.compile(r"Backup of (.*) by windlass run (\S+)\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup, and the run that made it."""

    place: Name
    run: str


def beside(schema: str, run: str) -> Name:
    """The name of a backup that is not, or no longer, in the table's place."""
    return Name(schema, f"windlass_{run}")


def sign(connection: Connection, table: Name, run: str, place: Name) -> None:
    """Record in a backup's comment of which table and run it is."""
    text = sql.Literal(_COMMENT.format(table, run))
    connection.execute(sql.SQL("comment on table {} is {}").format(identifier(place), text))


def read_owner(comment: object) -> tuple[str, str]:
    """The table and the run of a backup with this comment; empty if Windlass did not make it."""
    found = _OWNER.fullmatch(str(comment or ""))
    return (found[1], found[2]) if found else ("", "")


def list_backups(connection: Connection, plan: RewritePlan) -> list[Kept]:
    """The table's backups in the plan's schema, the newest first; without the plan's own."""
    rows: list[Any] = connection.execute(
        "select c.relname::text, obj_description(c.oid, 'pg_class') from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relkind = 'r'",
        (plan.kept.schema,),
    ).fetchall()
    owned = [(Name(plan.kept.schema, name), read_owner(comment)) for name, comment in rows]
    found = [
        Kept(place, run)
        for place, (table, run) in owned
        if table == str(plan.table) and run != plan.run
    ]
    began = _began(connection, [one.run for one in found])
    return sorted(found, key=lambda one: began.get(one.run, (0.0, one.run)), reverse=True)


def _began(connection: Connection, runs: list[str]) -> dict[str, tuple[float, str]]:
    """When runs began; without those that are undone or that the journal has lost: their backups
    are of no more use, so they count as the oldest."""
    there = connection.execute("select to_regclass('windlass.run') is not null").fetchone()
    if not (there and there[0]):
        return {}
    rows: list[Any] = connection.execute(
        "select run, extract(epoch from started_at)::float from windlass.run"
        " where run = any(%s) and state <> 'rolled back'",
        (runs,),
    ).fetchall()
    return {run: (seconds, run) for run, seconds in rows}


def surplus(connection: Connection, plan: RewritePlan) -> list[Kept]:
    """The backups that are dropped when the plan's own is made."""
    return list_backups(connection, plan)[max(plan.kept.count - 1, 0) :]
