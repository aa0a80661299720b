"""Describes a table as a target of loads, and says why nothing can be loaded into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from windlass.engines.postgres.landing.columns import find_oid, read_columns
from windlass.engines.postgres.landing.names import RESERVED
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.users_sql import read_path
from windlass.model.load import Table
from windlass.model.relation import Name
from windlass.model.report import Problem

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What `landing_table.sql` finds."""

    schema: str
    name: str
    kind: str
    persistence: str
    rows: int
    has_row_security: bool
    is_system: bool
    has_rules: bool
    can_select: bool
    can_insert: bool
    can_update: bool
    can_delete: bool
    can_lock: bool
    is_owner: bool
    carries_deletes: list[str]


def read_table(connection: Connection, name: str) -> Table | None:
    """By ``schema.table`` or ``table``, which is looked for as psql would."""
    found = find_name(connection, name)
    oid = find_oid(connection, found) if found else None
    if oid is None:
        return None
    facts = read_facts(connection, oid)
    columns = read_columns(connection, oid)
    with psycopg.RawCursor(connection) as cursor:
        keys: list[Any] = cursor.execute(
            load("landing_keys").as_bytes(connection), (oid,)
        ).fetchall()
    by_key = [(tuple(map(str, key)), is_primary) for key, is_primary in keys]
    taken = [one.name for one in columns if one.name in RESERVED]
    place = Name(facts.schema, facts.name)
    problems = [*_problems(place, facts), *_others_code(connection, place, oid)]
    problems += [
        Problem(str(place), f"has a column {one}, a name that Windlass uses") for one in taken
    ]
    return Table(
        name=place,
        columns=tuple(one.described for one in columns),
        keys=tuple(dict.fromkeys(key for key, _ in by_key)),
        primary=next((key for key, is_primary in by_key if is_primary), ()),
        rows=facts.rows,
        problems=tuple(problems),
    )


def read_facts(connection: Connection, oid: int) -> Facts:
    with psycopg.RawCursor(connection, row_factory=class_row(Facts)) as cursor:
        found = cursor.execute(load("landing_table").as_bytes(connection), (oid,)).fetchone()
    assert found is not None
    return found


def find_name(connection: Connection, text: str) -> Name | None:
    """A table's name with its schema; None if no schema of the search_path has it."""
    if "." in text.replace('"."', ""):
        parts = Name.read(text)
        return parts
    bare = text.strip('"')
    for schema in [*read_path(connection, ""), "pg_catalog"]:
        if find_oid(connection, Name(schema, bare)) is not None:
            return Name(schema, bare)
    return None


def _problems(name: Name, facts: Facts) -> Iterator[Problem]:
    what = str(name)
    if facts.is_system:
        yield Problem(what, "is a table of the server or of Windlass")
    if kind := _KINDS.get(facts.kind):
        hint = "load into the table that it shows" if facts.kind in "vm" else "load on its server"
        yield Problem(what, f"is {kind}, not a table", hint)
        return
    if facts.persistence == "t":
        yield Problem(what, "is a temporary table")
    if facts.has_rules:
        yield Problem(what, "has rules, which rewrite what is loaded", "replace them by triggers")
    if facts.has_row_security:
        hint = "load as its owner, or as a role with BYPASSRLS"
        yield Problem(what, "has row-level security that applies to us: rows would be hidden", hint)
    if not facts.can_select:
        yield Problem(what, "may not be read", f"GRANT SELECT ON {what}")
    if not facts.can_insert:
        yield Problem(what, "may not be inserted into", f"GRANT INSERT ON {what}")


def _others_code(connection: Connection, name: Name, oid: int) -> Iterator[Problem]:
    """Functions of roles that we do not trust."""
    with psycopg.RawCursor(connection) as cursor:
        query = load("landing_code").as_bytes(connection)
        rows: list[Any] = cursor.execute(query, (oid,)).fetchall()
    for what, function, role in rows:
        message = f"{what} would run the function {function} of {role} as the role that loads"
        hint = f"load as {role}, or give the function to a superuser"
        yield Problem(str(name), message, hint)
