"""Finds, names and drops what a run set aside and nobody needs any more.

Never drops what others have made of it since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.aside.objects import Move
from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.largeobjects import unlink_large_objects
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.references import read_references
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.model.plan import Address
from windlass.model.report import Problem
from windlass.trust.planted import Room, read_planted


@dataclass(frozen=True, slots=True)
class Kept:
    """What one run set aside: schemas, renamed objects, and copies of large objects."""

    schemas: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()  # kind and name that it has now
    large_objects: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Object:
    name: str  # with its kind, as people say it
    drop: sql.Composed
    address: Address


# dropped with the relation that they belong to
_PARTS = {"INDEX", "SEQUENCE", "STATISTICS"}
_CATALOGS = {
    "EVENT TRIGGER": ("pg_event_trigger", "evtname"),
    "FOREIGN DATA WRAPPER": ("pg_foreign_data_wrapper", "fdwname"),
    "PROCEDURAL LANGUAGE": ("pg_language", "lanname"),
    "PUBLICATION": ("pg_publication", "pubname"),
    "SERVER": ("pg_foreign_server", "srvname"),
}


def renamed_of(connection: Connection, moves: Iterable[Move]) -> tuple[tuple[str, str], ...]:
    """The objects that these moves renamed, because they are in no schema, and that still exist."""
    found = ((move.kind, move.backup) for move in moves if not move.schema)
    return tuple(one for one in found if one[0] in _CATALOGS and _address(connection, *one))


def present_large_objects(connection: Connection, oids: Sequence[int]) -> tuple[int, ...]:
    rows: list[Any] = connection.execute(
        "select oid::bigint from pg_largeobject_metadata where oid = any(%s::oid[]) order by oid",
        (list(oids),),
    ).fetchall()
    return tuple(oid for (oid,) in rows)


def kept_problems(connection: Connection, going: Sequence[Kept]) -> list[Problem]:
    """Why not all of it can be dropped: something else depends on it, or another role owns it."""
    schemas = [schema for kept in going for schema in kept.schemas]
    foreign = [
        one
        for schema in schemas
        for one in read_planted(connection, Room(schema))
        if one.object.startswith("schema ")
    ]
    objects = [one for kept in going for one in _objects(connection, kept)]
    return list(dict.fromkeys([*foreign, *_used(connection, objects, schemas)]))


def drop_kept(connection: Connection, kept: Kept) -> None:
    """Drop all of it, inside the caller's transaction, after `kept_problems` has found none.

    Raises:
        Refused: something else depends on it all the same; nothing is changed then.
    """
    objects = _objects(connection, kept)
    try:
        _drop_all(connection, objects)
        for schema in kept.schemas:
            connection.execute(sql.SQL("drop schema {}").format(sql.Identifier(schema)))
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or str(error)).replace("\n", "; ")
        raise Refused([_in_use("what was set aside", detail)]) from None
    unlink_large_objects(connection, kept.large_objects)


def _objects(connection: Connection, kept: Kept) -> list[_Object]:
    return [*_renamed(connection, kept.renamed), *_contents(connection, kept.schemas)]


def guests_in(
    connection: Connection, schemas: Collection[str], is_own: Callable[[str], bool]
) -> list[Problem]:
    """The objects in the schemas whose names are not the run's own."""
    return [
        Problem(
            f"{kind.lower()} {schema}.{name}",
            "was put there by others, and would be dropped with it",
            "move or drop it",
        )
        for kind, schema, name, _ in sorted(read_existing(connection).addresses)
        if schema in schemas and kind not in _PARTS and not is_own(name)
    ]


def _used(
    connection: Connection, objects: Sequence[_Object], schemas: Sequence[str]
) -> Iterator[Problem]:
    """Problems for objects that are used by something that is not dropped with them."""
    names = {one.address: one.name for one in objects}
    for one in read_references(connection):
        is_ours = one.schema in schemas or one.top in names
        if one.to in names and not is_ours and one.kind != "USER MAPPING":
            yield _in_use(names[one.to], _describe(connection, one.top))


def _describe(connection: Connection, address: Address) -> str:
    row: Any = connection.execute(
        "select type || ' ' || identity from pg_identify_object(%s::oid, %s::oid, 0)", address
    ).fetchone()
    return str(row[0])


def _in_use(name: str, by: str) -> Problem:
    return Problem(name, f"is in use: {by}", "drop that, or let it refer to something else")


def _drop_all(connection: Connection, objects: Sequence[_Object]) -> None:
    """Drop each after what depends on it. If two need each other, one is dropped with the other;
    both are ours, which was checked before."""
    waiting = list(objects)
    while waiting:
        left = [one for one in waiting if not _try(connection, one.drop)]
        if len(left) == len(waiting):
            connection.execute(sql.SQL("{} cascade").format(left.pop(0).drop))
        waiting = left


def _try(connection: Connection, drop: sql.Composed) -> bool:
    try:
        with connection.transaction():  # a savepoint
            connection.execute(drop)
    except psycopg.errors.DependentObjectsStillExist:
        return False
    return True


def _contents(connection: Connection, schemas: Sequence[str]) -> Iterator[_Object]:
    rows: list[Any] = connection.execute(load("contents")).fetchall() if schemas else []
    for schema, kind, name, class_, oid in rows:
        if schema in schemas:
            form = sql.SQL("drop {} if exists {}")  # as the server names and quotes it
            drop = form.format(sql.SQL(kind), sql.SQL(name))
            yield _Object(f"{kind} {name}", drop, (class_, oid))


def _renamed(connection: Connection, renamed: Iterable[tuple[str, str]]) -> Iterator[_Object]:
    for kind, name in renamed:
        address = _address(connection, kind, name)
        if address is None:
            continue
        if kind == "SERVER":
            yield from _mappings(connection, name)
        drop = sql.SQL("drop {} if exists {}").format(sql.SQL(kind), sql.Identifier(name))
        yield _Object(f"{kind.lower()} {name}", drop, address)


def _mappings(connection: Connection, server: str) -> Iterator[_Object]:
    rows: list[Any] = connection.execute(
        "select usename::text, umid::bigint, 'pg_user_mapping'::regclass::oid::bigint"
        " from pg_user_mappings where srvname = %s",
        (server,),
    ).fetchall()
    for user, oid, class_ in rows:
        whose = sql.SQL("public") if user == "public" else sql.Identifier(user)
        form = sql.SQL("drop user mapping if exists for {} server {}")
        name = f"user mapping of {user} for {server}"
        yield _Object(name, form.format(whose, sql.Identifier(server)), (class_, oid))


def _address(connection: Connection, kind: str, name: str) -> Address | None:
    catalog, column = _CATALOGS[kind]
    row: Any = connection.execute(
        sql.SQL("select {}::regclass::oid::bigint, oid::bigint from {} where {} = {}").format(
            sql.Literal(catalog), sql.Identifier(catalog), sql.Identifier(column), sql.Literal(name)
        )
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else None


def oids_of(notes: Iterable[Mapping[str, Any]]) -> list[int]:
    """The ids of the copies under which a run kept large objects, by the journal's notes."""
    return [int(copy) for note in notes for copy in note.get("kept", {}).values()]
