"""The contents of the two databases, read once into nouns. Reads only; decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.hashing import hash_by
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.relation import KINDS, PAGE_BYTES, CatalogRelation, Family, Storage
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.types import (
    Type,
    Types,
    base_type,
    definition,
    hashes_object_ids,
    hashes_text,
    is_known_everywhere,
    names_objects,
    wire,
    written_base,
)
from windlass.model.plan import Address, Server
from windlass.model.relation import Column, LargeObjects, Name

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """The session's server and privileges: facts that only refusals need."""

    instance: str  # equal for two sessions exactly when they are in the same database
    may_create: bool
    standby: bool
    origin: str = ""  # equal for all copies of a cluster, standbys among them
    timeline: int = 0  # changes with a promotion
    opened_by: str = ""  # the statement that makes it writable, if it is read-only


@dataclass(frozen=True, slots=True)
class SequenceOwner:
    name: Name
    owner: Name | None  # the relation whose column it feeds
    readable: bool
    users: frozenset[Name] = frozenset()  # relations with a default that takes values from it


@dataclass(frozen=True, slots=True)
class KeyConstraint:
    """A primary key or unique constraint whose index can be built before it."""

    oid: int
    relation_oid: int
    relation: Name
    name: str
    is_primary: bool
    definition: str  # of the index
    timing: str  # "", " DEFERRABLE" or " DEFERRABLE INITIALLY DEFERRED"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    oid: int
    relation: Name
    name: str
    validated: bool
    is_partitioned: bool


@dataclass(frozen=True, slots=True)
class Catalog:
    """One side. Relations are sorted by name."""

    server: Server
    standing: Standing
    relations: tuple[CatalogRelation, ...]
    sequences: tuple[SequenceOwner, ...]
    unreadable: frozenset[Name] = frozenset()
    unreachable_schemas: frozenset[str] = frozenset()
    hiding: frozenset[Name] = frozenset()  # row security would hide rows from this user
    forced: frozenset[Name] = frozenset()  # row security applies to us as owner
    unlogged: frozenset[Name] = frozenset()  # tables and sequences
    unreadable_large_objects: int = 0
    large_object_owners: frozenset[str] = frozenset()

    def relation(self, name: Name) -> CatalogRelation | None:
        return next((found for found in self.relations if found.name == name), None)


Signed = tuple[str, str, str, str]  # kind, schema, name, signature


@dataclass(frozen=True, slots=True)
class Existing:
    """The target's existing objects, by pg_dump's kinds."""

    objects: frozenset[Signed]
    identities: Mapping[Signed, str] = field(default_factory=dict)  # what ALTER takes after a name
    addresses: Mapping[Signed, Address] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()
    superusers: frozenset[str] = frozenset()
    memberships: frozenset[str] = frozenset()  # roles that our user may act as, and give objects to
    schemas: frozenset[str] = frozenset()
    schema_owners: Mapping[str, str] = field(default_factory=dict)
    extensions: frozenset[str] = frozenset()
    available_extensions: frozenset[str] = frozenset()
    tablespaces: frozenset[str] = frozenset()
    compressions: frozenset[str] = frozenset({"pglz"})  # available in the server's build
    # of the roles that our user is a member of; nothing for a superuser
    creators: frozenset[tuple[str, str]] = frozenset()  # schema, role that may create in it
    heirs: frozenset[tuple[str, str]] = frozenset()  # role, another whose privileges it has


def read_server(connection: Connection) -> tuple[Server, Standing]:
    """Which database this session is in."""
    row = _rows(connection, "server")[0]
    place = connection.info.host or str(row["place"])
    server = Server(
        place=f"{place}:{connection.info.port}",
        database=row["database"],
        user=row["user"],
        version=row["version"],
        version_text=str(row["version_text"]).split()[0],
        encoding=row["encoding"],
        identity=row["identity"],
        superuser=row["superuser"],
    )
    standing = Standing(
        instance=row["instance"],
        may_create=row["may_create"],
        standby=row["standby"],
        origin=row["origin"],
        timeline=row["timeline"],
        opened_by=row["opened_by"],
    )
    return server, standing


def read_catalog(connection: Connection) -> Catalog:
    """Every user relation and sequence, with the columns and keys of those with rows."""
    server, standing = read_server(connection)
    types: Types = {row["oid"]: Type(**row) for row in _rows(connection, "types")}
    columns = _read_columns(connection, types)
    keys = _grouped(_rows(connection, "keys"), "relation")
    rows = _rows(connection, "relations")
    access = _rows(connection, "large_object_access")[0]
    return Catalog(
        server=server,
        standing=standing,
        relations=tuple(
            _relation(row, columns[row["oid"]], keys[row["oid"]], types) for row in rows
        ),
        sequences=read_sequence_owners(connection),
        unreadable=frozenset(_sure(row) for row in rows if not row["readable"]),
        unreachable_schemas=frozenset(row["schema"] for row in rows if not row["reachable"]),
        hiding=frozenset(_sure(row) for row in rows if row["hides_rows"]),
        forced=frozenset(_sure(row) for row in rows if row["forced"]),
        unlogged=frozenset(
            _sure(row) for row in (*rows, *_rows(connection, "sequences")) if row["unlogged"]
        ),
        unreadable_large_objects=access["unreadable"],
        large_object_owners=frozenset(access["owners"]),
    )


def read_sequence_owners(connection: Connection) -> tuple[SequenceOwner, ...]:
    """Every user sequence, and the relation whose column it feeds."""
    return tuple(
        SequenceOwner(
            _sure(row),
            _name(row, "owner_"),
            row["readable"],
            frozenset(Name(*parts) for parts in row["users"]),
        )
        for row in _rows(connection, "sequences")
    )


def read_existing(connection: Connection) -> Existing:
    """The target's objects, to find conflicts and what can be referenced."""
    rows = _rows(connection, "existing")
    found: list[Signed] = [_signed(row) for row in rows]

    def names(kind: str) -> frozenset[str]:
        return frozenset(name for of, _, name, _ in found if of == kind)

    def pairs(kind: str) -> frozenset[tuple[str, str]]:
        return frozenset((first, second) for of, first, second, _ in found if of == kind)

    apart = {"CREATOR", "HEIR", "ROLE", "SUPERUSER", "SCHEMA", "EXTENSION", "AVAILABLE",
             "TABLESPACE", "COMPRESSION"}  # fmt: skip
    return Existing(
        objects=frozenset(row for row in found if row[0] not in apart),
        identities={_signed(row): row["identity"] for row in rows if row["identity"]},
        addresses={_signed(row): (row["class"], row["oid"]) for row in rows if row["oid"]},
        roles=names("ROLE"),
        superusers=names("SUPERUSER"),
        memberships=frozenset(name for of, _, name, mark in found if of == "ROLE" and mark),
        schemas=names("SCHEMA"),
        schema_owners={name: owner for of, _, name, owner in found if of == "SCHEMA"},
        extensions=names("EXTENSION"),
        available_extensions=names("AVAILABLE"),
        tablespaces=names("TABLESPACE"),
        compressions=names("COMPRESSION") or frozenset({"pglz"}),
        creators=pairs("CREATOR"),
        heirs=pairs("HEIR"),
    )


def _signed(row: Row) -> Signed:
    return row["kind"], row["schema"], row["name"], row["signature"]


def may_silence_triggers(connection: Connection) -> bool:
    """Whether this user may load rows without firing triggers, like pg_restore."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def read_wal_level(connection: Connection) -> str:
    row = connection.execute("select current_setting('wal_level')").fetchone()
    assert row is not None
    return str(row[0])


def read_emptiness(connection: Connection, names: Iterable[Name]) -> dict[Name, bool]:
    """Whether each relation is empty. Reads one row at most."""
    query = sql.SQL("select not exists (select from {})")
    return {
        name: bool(
            _fetch(connection, query.format(sql.Identifier(name.schema, name.name)), str(name))[0][
                "?column?"
            ]
        )
        for name in names
    }


def read_key_constraints(connection: Connection) -> list[KeyConstraint]:
    """Those on btree indexes of relations that are not partitioned."""
    timing = {(False, False): "", (True, False): " DEFERRABLE"}
    return [
        KeyConstraint(
            oid=row["oid"],
            relation_oid=row["relation_oid"],
            relation=Name(row["schema"], row["relation"]),
            name=row["name"],
            is_primary=row["is_primary"],
            definition=row["definition"],
            timing=timing.get(
                (row["is_deferrable"], row["is_deferred"]), " DEFERRABLE INITIALLY DEFERRED"
            ),
        )
        for row in _rows(connection, "key_constraints")
    ]


def read_foreign_keys(connection: Connection) -> list[ForeignKey]:
    """Those with a separate archive entry."""
    return [
        ForeignKey(
            row["oid"],
            Name(row["schema"], row["relation"]),
            row["name"],
            row["validated"],
            row["is_partitioned"],
        )
        for row in _rows(connection, "foreign_keys")
    ]


def read_invalid_indexes(connection: Connection) -> list[Name]:
    """Indexes left by failed builds; pg_dump skips them."""
    return [_sure(row) for row in _rows(connection, "invalid_indexes")]


def read_subscriptions(connection: Connection) -> list[str]:
    """Names only: connection strings are for superusers, and contain passwords."""
    return [row["name"] for row in _rows(connection, "subscriptions")]


def read_large_objects(connection: Connection) -> LargeObjects:
    row = _rows(connection, "large_objects")[0]
    return LargeObjects(row["count"], row["lowest"], row["highest"])


def _rows(connection: Connection, name: str) -> list[Row]:
    return _fetch(connection, load(name), f"reading the catalog ({name})")


def _fetch(connection: Connection, query: sql.SQL | sql.Composed, doing: str) -> list[Row]:
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(query).fetchall())
    except psycopg.Error as error:
        raise explain(error, doing, side="database") from error


def _grouped(rows: Iterable[Row], by: str) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[by]].append(row)
    return groups


def _read_columns(connection: Connection, types: Types) -> dict[int, tuple[Column, ...]]:
    grouped = _grouped(_rows(connection, "columns"), "relation")
    found: dict[int, tuple[Column, ...]] = defaultdict(tuple)
    for relation, rows in grouped.items():
        found[relation] = tuple(_column(row, types) for row in rows)
    return found


def read_columns_of(connection: Connection, asked: Iterable[tuple[int, int]]) -> list[Column]:
    """Columns without names of these types, each with its modifier."""
    types: Types = {row["oid"]: Type(**row) for row in _rows(connection, "types")}
    nothing = dict.fromkeys(("name", "identity", "default"), "")
    flags = dict.fromkeys(("not_null", "generated", "has_default"), False)
    found = []
    for oid, modifier in asked:
        query = "select format_type(%s, %s)"
        ((written,),) = connection.execute(query, (oid, modifier)).fetchall()
        found.append(_column({"type_oid": oid, "type": written, **nothing, **flags}, types))
    return found


def _column(row: Row, types: Types) -> Column:
    oid, written = row["type_oid"], row["type"]
    base, made_of = written_base(oid, written, types), definition(oid, written, types)
    return Column(
        name=row["name"],
        type=written,
        not_null=row["not_null"],
        generated=row["generated"],
        identity=row["identity"],
        has_default=row["has_default"],
        default=row["default"],
        wire=wire(oid, types),
        hash_by=hash_by(oid, types),
        base="" if base == written else base,
        definition="" if made_of == written else made_of,
        labels=tuple(base_type(oid, types).labels),
        known_everywhere=is_known_everywhere(oid, types),
        names_objects=names_objects(oid, types),
    )


def _relation(
    row: Row, columns: tuple[Column, ...], keys: list[Row], types: Types
) -> CatalogRelation:
    """`keys` are sorted best first: primary, unique, then the rest, narrow before wide."""
    telling = [key for key in keys if key["is_unique"] and key["not_null"]]
    cutting = sorted(
        (key for key in keys if _cuts(key, types)),
        key=lambda key: (not (key["is_unique"] and key["not_null"]), not key["is_unique"]),
    )
    return CatalogRelation(
        name=_sure(row),
        kind=KINDS[row["kind"]],
        columns=columns,
        identity=str(row["oid"]),
        keyset=tuple(telling[0]["columns"]) if telling else (),
        key=tuple(cutting[0]["columns"]) if cutting else (),
        scan_bytes=row["blocks"] * PAGE_BYTES,
        size_bytes=row["size_bytes"],
        index_bytes=row["index_bytes"],
        rows=row["rows"],
        partition_of=_name(row, "parent_"),
        storage=Storage(row["blocks"], row["tid_range_scan"], row["populated"]),
        family=_family(row, types),
        has_triggers=row["has_triggers"],
        unique=tuple(tuple(key["columns"]) for key in keys if key["is_unique"]),
    )


def _family(row: Row, types: Types) -> Family:
    return Family(
        has_children=row["has_children"],
        root=_root(row["above"], lambda key: hashes_object_ids(key, types), types),
        text_root=_root(row["above"], lambda key: hashes_text(key, types), types),
        reordered=row["reordered"],
        loosened=tuple(row["loosened"]),
    )


def _root(
    above: list[tuple[str, str, list[int], bool]], differs: Callable[[int], bool], types: Types
) -> Name | None:
    """The topmost ancestor of a partition that may be divided differently elsewhere, as the hashes
    of a type may differ or those of a collation do."""
    return next(
        (
            Name(schema, name)
            for schema, name, keys, hashes_sort_keys in above
            if hashes_sort_keys or any(differs(key) for key in keys if key in types)
        ),
        None,
    )


def _cuts(key: Row, types: Types) -> bool:
    """Whether `<` sorts like the index under our empty search_path.

    Not for citext: its operators are not found there, so those of text would be used.
    """
    return key["is_orderly"] and all(base_type(oid, types).builtin for oid in key["types"])


def _name(row: Row, prefix: str = "") -> Name | None:
    schema, name = row[f"{prefix}schema"], row[f"{prefix}name"]
    return Name(schema, name) if name is not None else None


def _sure(row: Row) -> Name:
    return Name(row["schema"], row["name"])
