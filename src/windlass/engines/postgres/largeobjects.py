"""Large objects: read and written in slices, with owner, grants and comment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection

SLICE_BYTES = 1 << 20  # what is in memory at a time


@dataclass(frozen=True, slots=True)
class Described:
    """A large object without its bytes. `grants`: grantee ("" for PUBLIC), privilege, grantable."""

    oid: int
    owner: str
    comment: str | None
    grants: tuple[tuple[str, str, bool], ...]


_DESCRIBE: LiteralString = (
    "select m.oid::bigint, pg_get_userbyid(m.lomowner), obj_description(m.oid, 'pg_largeobject'),"
    " coalesce((select json_agg(json_build_array(case a.grantee when 0 then ''"
    " else pg_get_userbyid(a.grantee) end, a.privilege_type, a.is_grantable))"
    " from aclexplode(m.lomacl) a where a.grantee <> m.lomowner), '[]'::json)"
    " from pg_largeobject_metadata m where "
)


def describe_after(connection: Connection, oid: int, count: int) -> list[Described]:
    """The next large objects in the order of their ids."""
    return _describe(connection, "m.oid > %s order by m.oid limit %s", (oid, count))


def describe(connection: Connection, oids: Sequence[int]) -> list[Described]:
    """Those large objects."""
    return _describe(connection, "m.oid = any(%s::oid[])", (list(oids),))


def _describe(
    connection: Connection, which: LiteralString, values: tuple[object, ...]
) -> list[Described]:
    try:
        rows: list[Any] = connection.execute(_DESCRIBE + which, values).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading large objects", side="source") from error
    return [
        Described(oid, owner, comment, tuple((to, what, bool(on)) for to, what, on in grants))
        for oid, owner, comment, grants in rows
    ]


@dataclass(frozen=True, slots=True)
class Collisions:
    """Large objects of the target that have the id of one of the source's."""

    count: int = 0
    first: tuple[int, ...] = ()
    foreign: int = 0  # owned by a role that this user may not act as


def read_collisions(source: Connection, target: Connection) -> Collisions:
    """Read them in groups, so that memory does not grow with their number."""
    found, last = Collisions(), 0
    while oids := _ids_after(source, last):
        rows = _owned(target, oids)
        found = Collisions(
            found.count + len(rows),
            (*found.first, *(oid for oid, _ in rows))[:IDS_NAMED],
            found.foreign + sum(not is_ours for _, is_ours in rows),
        )
        last = oids[-1]
    return found


def read_size_bytes(connection: Connection) -> int:
    """The space that all large objects of a database take on disk."""
    try:
        row: Any = connection.execute("select pg_table_size('pg_largeobject')").fetchone()
    except psycopg.Error as error:
        raise explain(error, "reading large objects", side="source") from error
    return int(row[0])


IDS_AT_ONCE = 10_000
IDS_NAMED = 3


def _ids_after(connection: Connection, oid: int) -> list[int]:
    query: LiteralString = (
        "select oid::bigint from pg_largeobject_metadata where oid > %s order by oid limit %s"
    )
    try:
        rows: list[Any] = connection.execute(query, (oid, IDS_AT_ONCE)).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading large objects", side="source") from error
    return [found for (found,) in rows]


def _owned(connection: Connection, oids: Sequence[int]) -> list[tuple[int, bool]]:
    query: LiteralString = (
        "select oid::bigint, pg_has_role(lomowner, 'usage') from pg_largeobject_metadata"
        " where oid = any(%s::oid[]) order by oid"
    )
    try:
        rows: list[Any] = connection.execute(query, (list(oids),)).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading large objects", side="target") from error
    return rows


def copy_large_object(source: Connection, target: Connection, what: Described) -> int:
    """Create it on the target with the same id and copy its bytes; returns how many."""
    size = 0
    try:
        target.execute("select lo_create(%s)", (what.oid,))
        for data in _slices(source, what.oid):
            target.execute("select lo_put(%s, %s, %s)", (what.oid, size, data))
            size += len(data)
    except psycopg.Error as error:
        raise explain(error, f"copying large object {what.oid}", side="target") from error
    return size


def _slices(source: Connection, oid: int) -> Iterator[bytes]:
    at = 0
    while True:
        row: Any = source.execute(
            "select lo_get(%s, %s, %s)", (oid, at, SLICE_BYTES), binary=True
        ).fetchone()
        data = bytes(row[0])
        if data:
            yield data
        if len(data) < SLICE_BYTES:
            return
        at += len(data)


def apply_metadata(target: Connection, what: Described, roles: Collection[str], user: str) -> None:
    """Apply owner, grants and comment, as far as the roles exist and this user may give objects to
    them."""
    oid = sql.Literal(what.oid)
    try:
        for grantee, privilege, grantable in what.grants:
            if grantee and grantee not in roles:
                continue
            target.execute(
                sql.SQL("grant {} on large object {} to {}{}").format(
                    sql.SQL(privilege),  # SELECT or UPDATE
                    oid,
                    sql.Identifier(grantee) if grantee else sql.SQL("public"),
                    sql.SQL(" with grant option" if grantable else ""),
                )
            )
        if what.comment is not None:
            target.execute(
                sql.SQL("comment on large object {} is {}").format(oid, sql.Literal(what.comment))
            )
        if what.owner != user and what.owner in roles and may_give(target, what.owner):
            target.execute(
                sql.SQL("alter large object {} owner to {}").format(oid, sql.Identifier(what.owner))
            )
    except psycopg.Error as error:
        raise explain(error, f"describing large object {what.oid}", side="target") from error


def read_roles(target: Connection) -> frozenset[str]:
    """Of the target's server."""
    rows = target.execute("select rolname::text from pg_roles").fetchall()
    return frozenset(str(name) for (name,) in rows)


def read_oids_after(connection: Connection, oid: int, count: int) -> list[int]:
    """The ids of the next large objects, in their order."""
    rows: list[Any] = connection.execute(
        "select oid::bigint from pg_largeobject_metadata where oid > %s order by oid limit %s",
        (oid, count),
    ).fetchall()
    return [number for (number,) in rows]


def may_give(target: Connection, role: str) -> bool:
    """Whether this user may make the role the owner of an object."""
    word = "set" if target.info.server_version >= 160000 else "member"
    row: Any = target.execute("select pg_has_role(%s::name, %s)", (role, word)).fetchone()
    return bool(row[0])


def missing_roles(what: Described, roles: Collection[str]) -> set[str]:
    """Roles that own it or have grants on it, and that the target lacks."""
    return {
        role
        for role in (what.owner, *(to for to, _, _ in what.grants))
        if role and role not in roles
    }


def read_digests_after(connection: Connection, oid: int, count: int) -> dict[int, str]:
    """A digest of the bytes of the source's next large objects, in the order of their ids."""
    condition = sql.SQL("m.oid > {} order by m.oid limit {}")
    return _digests(connection, condition.format(sql.Literal(oid), sql.Literal(count)), "source")


def read_digests(connection: Connection, oids: Collection[int]) -> dict[int, str]:
    """A digest of the bytes of those that are on the target."""
    condition = sql.SQL("m.oid = any ({}::oid[])").format(sql.Literal(list(oids)))
    return _digests(connection, condition, "target")


def _digests(connection: Connection, condition: sql.Composed, side: str) -> dict[int, str]:
    query = sql.SQL("{} where {}").format(load("large_object_digests"), condition)
    try:
        rows: list[Any] = connection.execute(query).fetchall()
    except psycopg.Error as error:
        raise explain(error, "comparing large objects", side=side) from error
    return dict(rows)


def count_changed(connection: Connection, oids: Collection[int], own: sql.Composed) -> int:
    """How many were changed or created again by other transactions. `own` is a query for the ids of
    our transactions. Everybody can see changes of owner, grants or identity; only users who may
    read pg_largeobject, such as superusers, see changes of bytes."""
    if not oids:
        return 0
    query = sql.SQL(
        "select oid from pg_largeobject_metadata where oid = any ({0}::oid[]) and xmin not in ({1})"
    ).format(sql.Literal(list(oids)), own)
    bytes_ = sql.SQL(
        " union select loid from pg_largeobject where loid = any ({0}::oid[]) and xmin not in ({1})"
    ).format(sql.Literal(list(oids)), own)
    try:
        row: Any = connection.execute(
            "select has_table_privilege('pg_largeobject', 'select')"
        ).fetchone()
        rows = connection.execute(query + bytes_ if row[0] else query).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading large objects", side="target") from error
    return len(rows)


def unlink_large_objects(connection: Connection, oids: Collection[int]) -> None:
    """Unlink those that still exist, in the caller's transaction."""
    try:
        connection.execute(
            "select lo_unlink(oid) from pg_largeobject_metadata where oid = any(%s::oid[])",
            (list(oids),),
        )
    except psycopg.Error as error:
        raise explain(error, "removing large objects", side="target") from error
