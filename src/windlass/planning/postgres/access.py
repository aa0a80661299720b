"""What the two users may not read or create, and what a standby does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql

from windlass.engines.postgres.catalog import Catalog
from windlass.model.relation import Relation
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Statement
from windlass.model.wording import word
from windlass.planning.postgres.conflicts import CREATED
from windlass.planning.postgres.privileges import Privilege
from windlass.planning.postgres.sides import Sides


def reading_problems(sides: Sides) -> Iterator[Problem]:
    """What this user may not read from the source."""
    source = sides.source
    user = source.server.user
    schemas = {relation.name.schema for relation in sides.relations}
    for schema in sorted(schemas & source.unreachable_schemas):
        yield Privilege.READ_SCHEMA.lacking(f"schema {schema}", user, sql.Identifier(schema))
    for relation in sides.relations:
        name = relation.name
        if name in source.unreadable:
            quoted = sql.Identifier(name.schema, name.name)
            yield Privilege.READ_TABLE.lacking(str(name), user, quoted)
        elif name in source.hiding:
            lift = "connect as its owner"
            if name in source.forced:
                table = sql.Identifier(name.schema, name.name).as_string(None)
                lift = f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"
            yield Problem(
                str(name),
                f"row security would hide rows from {source.server.user}: not all would be copied",
                f"ALTER ROLE {_quoted(source.server.user)} BYPASSRLS, or {lift}",
            )
    for sequence in source.sequences:
        if sequence.name.schema in schemas and not sequence.readable:
            name = sequence.name
            quoted = sql.Identifier(name.schema, name.name)
            yield Privilege.READ_SEQUENCE.lacking(str(name), user, quoted)


def large_object_problems(sides: Sides) -> list[Problem]:
    """Large objects that this user may not read from the source."""
    source = sides.source
    if not source.unreadable_large_objects:
        return []
    user = source.server.user
    owners = ", ".join(_quoted(owner) for owner in sorted(source.large_object_owners - {user}))
    return [
        Problem(
            "large objects",
            f"{user} may not read {source.unreadable_large_objects:,} of them",
            f"GRANT {owners} TO {_quoted(user)}, or GRANT SELECT ON LARGE OBJECT for each",
        )
    ]


def large_object_losses(sides: Sides) -> list[Loss]:
    """Losses for owners that exist, but to whom this user may not give objects. Missing owners are
    reported for each object."""
    target, existing = sides.target, sides.existing
    if target.server.superuser:
        return []
    user = target.server.user
    there = sides.source.large_object_owners & existing.roles
    return [
        Loss(
            f"role {owner}",
            f"exists, but {user} is not a member (GRANT {_quoted(owner)} TO {_quoted(user)}):"
            f" {user} will own its large objects",
            LossClass.OWNERS,
        )
        for owner in sorted(there - existing.memberships - {user})
    ]


def standby_problems(source: Catalog, relations: Iterable[Relation]) -> list[Problem]:
    """A standby lacks the rows of unlogged tables and the state of unlogged sequences: they are
    never sent to it."""
    if not source.standing.standby:
        return []
    fed = {one.name: one.owner for one in source.sequences}
    wanted = {relation.name for relation in relations}
    wanted |= {name for name, owner in fed.items() if owner in wanted or owner is None}
    return [
        Problem(
            str(name),
            "is unlogged, and the source is a standby, which has no rows of unlogged tables",
            f"read from the primary, or {word('exclude', name.plain)}",
        )
        for name in sorted(source.unlogged & wanted)
    ]


def schema_problems(statements: Iterable[Statement], sides: Sides) -> list[Problem]:
    """Schemas of the target in which objects are to be created, and this user may not create
    them."""
    target, existing = sides.target, sides.existing
    if target.server.superuser:
        return []
    user = target.server.user
    needed = {one.name.schema for one in statements if one.kind in CREATED | {"INDEX"}}
    return [
        Privilege.CREATE_IN.lacking(f"schema {schema}", user, sql.Identifier(schema))
        for schema in sorted(needed & existing.schemas)
        if (schema, user) not in existing.creators
    ]


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
