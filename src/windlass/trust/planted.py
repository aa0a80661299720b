"""Finds objects that another role has planted, or could plant, where a session is about to read or
write.

A role is trusted if it is the session's own or a superuser, who needs no such trick. Decides
nothing else: the caller refuses. The queries qualify every function and compare equal types, so
that nothing in them is resolved through `search_path`, where another role could have put it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from psycopg import Connection, sql

from windlass.model.report import Problem

Row = tuple[str, str, str, str]  # kind, object, detail, role
_NOTHING = "^$"  # no name matches
_OWN = "PostgreSQL's own of that name"


@dataclass(frozen=True, slots=True)
class Room:
    """A schema with our tables; regular expressions that match their full names.

    `plain` are tables without columns of user-defined types; `defaults` are the only defaults they
    have, as PostgreSQL prints them. `events`: whether objects are created there, which fires event
    triggers.
    """

    schema: str
    tables: str = _NOTHING
    plain: str = _NOTHING
    defaults: tuple[str, ...] = ()
    events: bool = False
    shared: bool = False  # others may have their own tables there
    owner_of: tuple[str, str] = ("", "")  # a table whose owner may own the schema as well
    hint: str = ""  # the hint for a table that was altered
    function: str = ""  # matches names of our functions there, which end with a run; "": any may be
    body: str = ""  # of these functions, with {run}


def quoted_pattern(*names: str) -> str:
    """A PostgreSQL regular expression that matches exactly these names."""
    return "^({})$".format("|".join(re.sub(r"([^\w ])", r"\\\1", name) for name in names))


@cache
def query(name: str) -> bytes:
    """The query in ``trust/<name>.sql``."""
    text = (resources.files("windlass.trust") / f"{name}.sql").read_text(encoding="utf-8")
    return text.encode()


def read_planted(connection: Connection[Any], room: Room) -> list[Problem]:
    """Every reason not to use the schema; none if it does not exist."""
    return _problems(connection, room, _rows(connection, room))


def read_others_code(connection: Connection[Any], room: Room) -> list[Problem]:
    """For tables of any owner: code of untrusted roles that would run there."""
    rows = _rows(connection, room)
    others = {object_ for kind, object_, _, _ in rows if kind == "owner"}
    found = [row for row in rows if row[0] == "code" and row[1] in others]
    return _problems(connection, room, found)


def _can_have(connection: Connection[Any], room: Room) -> bool:
    """Whether there is anything to check; the long query takes ten times as long."""
    row = connection.execute(
        "select exists (select from pg_catalog.pg_namespace where nspname = %s::name)"
        " or (%s::bool and exists"
        "  (select from pg_catalog.pg_event_trigger where evtenabled <> 'D'))",
        (room.schema, room.events),
    ).fetchone()
    return bool(row and row[0])


def _rows(connection: Connection[Any], room: Room) -> list[Row]:
    if not _can_have(connection, room):
        return []
    rows = connection.execute(
        query("planted"),
        {
            "schema": room.schema,
            "tables": room.tables,
            "plain": room.plain,
            "defaults": list(room.defaults),
            "events": room.events,
            "shared": room.shared,
            "function": room.function,
            "body": room.body,
            "owned_schema": room.owner_of[0],
            "owned_table": room.owner_of[1],
        },
    ).fetchall()
    return [(str(kind), str(name), str(detail), str(role)) for kind, name, detail, role in rows]


def _problems(connection: Connection[Any], room: Room, rows: Sequence[Row]) -> list[Problem]:
    if not rows:
        return []
    user: tuple[Any, ...] | None = connection.execute("select current_user").fetchone()
    assert user is not None
    return [_problem(room, str(user[0]), *row) for row in rows]


def _problem(room: Room, user: str, kind: str, object_: str, detail: str, role: str) -> Problem:
    quoted = sql.Identifier(role).as_string(None) if role else "PUBLIC"
    match kind:
        case "owner":
            message = f"belongs to {role}, whose code {user} would run by using it"
            what = object_ if object_.startswith("schema ") else f"table {object_}"
            me = sql.Identifier(user).as_string(None)
            return Problem(
                object_,
                message,
                f"connect as {role}; or look at what is in it, then drop it, or"
                f" ALTER {what.replace('schema ', 'SCHEMA ').replace('table ', 'TABLE ')}"
                f" OWNER TO {me}",
            )
        case "grant":
            privilege, _, column = detail.partition(" ")
            message = f"{role or 'every role'} has the privilege {privilege} on it"
            on = object_.replace("schema ", "SCHEMA ") if "schema " in object_ else object_
            what = f"{privilege} {column}".strip()
            return Problem(object_, message, f"REVOKE {what} ON {on} FROM {quoted}")
        case "event":
            message = f"runs the function {detail} of {role} as {user} when objects are made"
            return Problem(object_, message, "give the function to a superuser, or disable it")
        case _:
            return Problem(object_, f"{detail}, which windlass did not make", room.hint)


def read_shadowing(
    connection: Connection[Any], path: Sequence[str], schema: str, table: str
) -> list[Problem]:
    """Functions and operators of untrusted roles in the schemas where a user's SQL over the table
    is resolved."""
    values = {"path": list(path), "schema": schema, "table": table}
    rows: Iterable[Any] = connection.execute(query("shadowing"), values).fetchall()
    return [
        Problem(
            object_,
            f"belongs to {role}, and could be run in the place of {whose or _OWN}",
            f"drop it, or give it to a superuser: ALTER {object_} OWNER TO postgres",
        )
        for object_, role, whose in rows
    ]


def read_foreign_schemas(
    connection: Connection[Any], schemas: Iterable[str], owners: Iterable[str]
) -> list[Problem]:
    """Of the schemas to create objects in, those that belong to untrusted roles that own none of
    the new objects. Such a role could replace a new table with its own before the rows are copied.
    """
    rows = connection.execute(
        query("schemas"), {"schemas": sorted(schemas), "owners": sorted(owners)}
    ).fetchall()
    return [
        Problem(
            f"schema {schema}",
            f"belongs to {owner} on the target, who could replace what is made in it",
            f"ALTER SCHEMA {sql.Identifier(schema).as_string(None)} OWNER TO the owner that it has"
            f" on the source, or run as {owner}",
        )
        for schema, owner in rows
    ]
