"""Functions and operators on the target that a migrated definition could call instead of the
source's: PostgreSQL resolves overloads by argument types.

Only those made by untrusted roles. One with the same argument types as the source's is not an
overload: it is an existing object, which is refused or set aside elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from psycopg import Connection

from windlass.model.report import Problem
from windlass.trust.planted import query


def read_overloads(
    source: Connection[Any],
    target: Connection[Any],
    owners: Collection[str],
    renamed: Mapping[str, str],
) -> list[Problem]:
    """`owners` are roles that own migrated objects; `renamed` maps schemas of the source to their
    target names."""
    others = [
        (schema, name, takes, kind, signature, owner)
        for schema, name, takes, kind, signature, owner, trusted in _routines(target)
        if not trusted and owner not in owners
    ]
    if not others:
        return []
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for schema, name, takes, *_ in _routines(source):
        there[renamed.get(schema, schema), name].add(takes)
    return [
        _problem(kind, signature, owner)
        for schema, name, takes, kind, signature, owner in others
        if (schema, name) in there and takes not in there[schema, name]
    ]


def _routines(connection: Connection[Any]) -> list[Any]:
    return connection.execute(query("routines")).fetchall()


def _problem(kind: str, signature: str, owner: str) -> Problem:
    return Problem(
        f"{kind} {signature}",
        f"belongs to {owner} on the target, and definitions of the source could call it instead"
        " of the source's of that name",
        "drop it, or look at it and give it to a superuser:"
        f" ALTER {kind.upper()} {signature} OWNER TO postgres",
    )
