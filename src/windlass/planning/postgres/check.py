"""What stands in the way of a move: every problem, before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.postgres.archive import RELATION_KINDS, Entry
from windlass.engines.postgres.catalog import Catalog, Existing, Signed
from windlass.engines.postgres.largeobjects import Collisions
from windlass.model.plan import Address
from windlass.model.relation import Name, Relation
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Statement
from windlass.model.units import plural
from windlass.planning.postgres.privileges import Privilege
from windlass.planning.postgres.select import describe
from windlass.planning.postgres.standing import read_only
from windlass.planning.postgres.statements import target_name, target_tag
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.choices import Extent
from windlass.spec.migrate import Spec


@dataclass(frozen=True, slots=True)
class Sides:
    """What the checks look at."""

    source: Catalog
    target: Catalog
    existing: Existing
    relations: tuple[Relation, ...]  # selected
    schemas: Mapping[str, str]  # source to target, all selected


def find_problems(spec: Spec, sides: Sides) -> list[Problem]:
    """What keeps rows from arriving; see `reading_problems` for what keeps them from leaving."""
    return [
        *_server_problems(sides),
        *empty_source_problems(spec, sides),
        *_writing_problems(spec, sides),
    ]


def empty_source_problems(spec: Spec, sides: Sides) -> list[Problem]:
    """Source and target are easily swapped: an empty source would replace what is there, or leave
    it as it is and call that a migration."""
    there = [relation for relation in sides.target.relations if relation.holds_rows]
    if spec.allow_empty_source or not there:
        return []
    hint = "are source and target swapped? If not: --allow-empty-source"
    if not sides.source.relations:
        message = f"has no tables, and the target has {len(there):,}"
        return [Problem("source", message, hint)]
    names = {target_name(one.name, sides.schemas) for one in sides.relations}
    replaced = [one for one in there if one.name in names and one.blocks]
    holding = [one for one in sides.relations if one.holds_rows]
    if spec.existing is not OnExisting.REPLACE or not replaced or any(o.blocks for o in holding):
        return []
    message = f"has no rows, and {plural(len(replaced), 'table')} with rows would be replaced"
    return [Problem("source", message, hint)]


def _server_problems(sides: Sides) -> Iterator[Problem]:
    source, target = sides.source, sides.target
    yield from read_only(target)
    if target.server.major < source.server.major:
        yield Problem(
            "target",
            f"is older than the source: PostgreSQL {target.server.version_text} cannot take"
            f" everything that {source.server.version_text} can hold",
            "migrate into the same or a newer version",
        )
    if source.server.major < 12:
        yield Problem("source", f"PostgreSQL {source.server.version_text} is older than 12")
    if target.standing.standby:
        yield Problem("target", "is a standby, which takes no writes", "name its primary")
    if not target.standing.may_create:
        database = sql.Identifier(target.server.database)
        yield Privilege.CREATE.lacking("target", target.server.user, database)


def reading_problems(sides: Sides) -> Iterator[Problem]:
    """What this user may not read of the source."""
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
                f"row security would hide rows from {source.server.user}, and not all be copied",
                f"ALTER ROLE {_quoted(source.server.user)} BYPASSRLS, or {lift}",
            )
    for sequence in source.sequences:
        if sequence.name.schema in schemas and not sequence.readable:
            name = sequence.name
            quoted = sql.Identifier(name.schema, name.name)
            yield Privilege.READ_SEQUENCE.lacking(str(name), user, quoted)


def large_object_problems(sides: Sides) -> list[Problem]:
    """Those that this user may not read of the source."""
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


def collision_problems(found: Collisions, user: str, existing: OnExisting) -> list[Problem]:
    """Large objects of the target whose ids the source's need."""
    some = ", ".join(map(str, found.first)) + (", ..." if found.count > len(found.first) else "")
    message = f"{found.count:,} of the target's have ids that the source's need: {some}"
    if not found.count or (existing is OnExisting.REPLACE and not found.foreign):
        return []
    if existing is OnExisting.REPLACE:
        message = f"{message}; {found.foreign:,} of them do not belong to {user}"
        return [Problem("large objects", message, "connect as their owner, or as a superuser")]
    hint = "--existing replace keeps them under other ids, for windlass rollback to put back"
    return [Problem("large objects", message, hint)]


def large_object_losses(sides: Sides) -> list[Loss]:
    """Owners that are there, and that this user may not give anything to. Those that are not
    there are named object by object."""
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


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)


def _writing_problems(spec: Spec, sides: Sides) -> Iterator[Problem]:
    there = {relation.name: relation for relation in sides.target.relations}
    for relation in sides.relations:
        name = target_name(relation.name, sides.schemas)
        found = there.get(name)
        if found is None:
            if spec.extent is Extent.DATA and relation.holds_rows:
                yield Problem(str(name), "is not on the target, and --data-only makes nothing")
            elif spec.existing is OnExisting.FILL and relation.partition_of:
                parent = target_name(relation.partition_of, sides.schemas)
                yield from _missing_partition(name, parent) if parent in there else ()
        elif spec.extent is Extent.DATA or spec.existing is OnExisting.FILL:
            yield from _filling_problems(relation, found)
            if relation.holds_rows and found.name in sides.target.hiding:
                yield _guarded_by_policies(found, sides.target)
        elif spec.existing is OnExisting.REFUSE:
            yield Problem(
                str(name),
                "exists on the target",
                "--existing replace sets it aside, --existing fill loads into it when it is empty",
            )


def _missing_partition(name: Name, parent: Name) -> Iterator[Problem]:
    """What a filled table consists of stays as it is: the partition would be a table by itself."""
    message = f"is not on the target, where {parent}, of which it is a partition, is filled"
    yield Problem(str(name), message, "create it there, or exclude it")


def _guarded_by_policies(found: Relation, target: Catalog) -> Problem:
    """COPY refuses a table whose row security is on for the user, whatever its policies say."""
    user = target.server.user
    return Problem(
        str(found.name),
        f"has row security on the target, and cannot be loaded by {user}",
        f"ALTER ROLE {_quoted(user)} BYPASSRLS, or connect as the table's owner",
    )


def _filling_problems(relation: Relation, found: Relation) -> Iterator[Problem]:
    if not relation.holds_rows:
        return
    if found.kind.value not in "rp":
        yield Problem(str(found.name), "is not a table on the target: rows cannot be loaded")
        return
    takes = {column.name: column for column in found.columns}
    missing = [column.name for column in relation.copied_columns if column.name not in takes]
    if missing:
        yield Problem(
            str(found.name),
            f"has no column {', '.join(missing)} on the target",
            "add the column, or exclude the relation",
        )
    gives = {column.name for column in relation.columns}
    for column in found.columns:
        if column.not_null and column.name not in gives and not column.fills_itself:
            yield Problem(
                str(found.name),
                f"column {column.name} is NOT NULL on the target and the source has no such column",
                "give it a default",
            )


def emptiness_problems(filled: Mapping[Name, bool]) -> list[Problem]:
    """`filled`: for each existing relation that rows would go into, whether it is empty."""
    return [
        Problem(
            str(name), "has rows on the target", "--existing fill loads into empty relations only"
        )
        for name, empty in filled.items()
        if not empty
    ]


@dataclass(frozen=True, slots=True)
class InTheWay:
    """An archive entry whose object the target has already."""

    entry: Entry
    kind: str  # of what the target has: a view may be in a table's way
    name: Name  # on the target
    signature: str  # what ALTER takes after the name
    address: Address = (0, 0)


def find_in_the_way(
    entries: Sequence[Entry], schemas: Mapping[str, str], existing: Existing
) -> list[InTheWay]:
    """Entries of any kind that CREATE would refuse because the name is taken.

    All kinds of relation share one name space with each other and with types.
    """
    taken = {_taken(signed): signed for signed in existing.objects}
    found = []
    for entry in entries:
        name, signature = _signed(entry, schemas)
        schema = schemas.get(entry.schema, entry.schema)
        there = taken.get((_space(entry.kind), schema, name, signature))
        if entry.kind in _CREATED and there:
            found.append(
                InTheWay(
                    entry,
                    there[0],
                    Name(schema, there[2]),
                    existing.identities.get(there, ""),
                    existing.addresses.get(there, (0, 0)),
                )
            )
    return found


def _taken(signed: Signed) -> Signed:
    """What no two objects can have in common; a routine's name may hold brackets itself."""
    kind, schema, name, signature = signed
    if kind in _ROUTINES:
        return _space(kind), schema, f"{name}({signature})", ""
    return _space(kind), schema, name, signature if kind in _SIGNED else ""


def without_freed(items: Sequence[InTheWay]) -> list[InTheWay]:
    """Without what is no longer in the way once the types it is about have been set aside."""
    moved = {item.entry.id for item in items if _space(item.kind) == "relation"}
    return [
        item
        for item in items
        if item.entry.kind not in ("CAST", "TRANSFORM")
        or not moved.intersection(item.entry.depends_on)
    ]


def standby_problems(source: Catalog, relations: Iterable[Relation]) -> list[Problem]:
    """A standby has none of the rows of unlogged tables, nor the state of unlogged sequences: they
    are never sent there."""
    if not source.standing.standby:
        return []
    fed = {one.name: one.owner for one in source.sequences}
    wanted = {relation.name for relation in relations}
    wanted |= {name for name, owner in fed.items() if owner in wanted or owner is None}
    return [
        Problem(
            str(name),
            "is unlogged, and the source is a standby, which has nothing of what is unlogged",
            f"read from the primary, or --exclude '{name.plain}'",
        )
        for name in sorted(source.unlogged & wanted)
    ]


def schema_problems(statements: Iterable[Statement], sides: Sides) -> list[Problem]:
    """Schemas of the target in which this user may not create what is to be in them."""
    target, existing = sides.target, sides.existing
    if target.server.superuser:
        return []
    user = target.server.user
    needed = {one.name.schema for one in statements if one.kind in _CREATED | {"INDEX"}}
    return [
        Privilege.CREATE_IN.lacking(f"schema {schema}", user, sql.Identifier(schema))
        for schema in sorted(needed & existing.schemas)
        if (schema, user) not in existing.creators
    ]


_ROUTINES = {"FUNCTION", "PROCEDURE", "AGGREGATE"}
_TYPES = {"TYPE", "DOMAIN", "SHELL TYPE"}
_BY_METHOD = {"OPERATOR CLASS", "OPERATOR FAMILY"}
_SIGNED = {*_ROUTINES, *_BY_METHOD, "OPERATOR"}
_CREATED = {
    *RELATION_KINDS, *_SIGNED, *_TYPES, "ACCESS METHOD", "CAST", "COLLATION", "CONVERSION",
    "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "PUBLICATION", "SERVER",
    "STATISTICS", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE", "TRANSFORM", "USER MAPPING",
}  # fmt: skip


def _signed(entry: Entry, schemas: Mapping[str, str]) -> tuple[str, str]:
    """Name and signature on the target. An operator's is not in its tag, but in its DROP."""
    if entry.kind in _ROUTINES:
        tag = target_tag(entry.tag, schemas)
        of_all = entry.kind == "AGGREGATE" and tag.endswith("(*)")
        return tag.removesuffix("*)") + ")" if of_all else tag, ""
    if entry.kind == "USER MAPPING":
        return f"USER MAPPING {entry.tag.removeprefix('USER MAPPING ')}", ""
    if entry.kind == "OPERATOR":
        _, _, arguments = target_tag(entry.drop.strip(), schemas).rpartition(f"{entry.tag} (")
        return entry.tag, arguments.removesuffix(";").removesuffix(")")
    if entry.kind in _BY_METHOD:
        return entry.tag, entry.drop.strip().removesuffix(";").rpartition(" USING ")[2]
    return target_tag(entry.tag, schemas), ""


def _space(kind: str) -> str:
    if kind in _ROUTINES:
        return "routine"
    return "relation" if kind in RELATION_KINDS | _TYPES else kind


def unmovable(items: Iterable[InTheWay]) -> list[Problem]:
    """What `replace` cannot set aside: ALTER has no way to move it."""
    return [
        Problem(
            describe(item.entry),
            "exists on the target, and a shell type cannot be set aside",
            "drop or rename it there",
        )
        for item in items
        if item.kind == "SHELL TYPE" and not is_shell(item.entry)
    ]


def is_shell(entry: Entry) -> bool:
    """A type of which nothing but the name is known: for good, or before its functions."""
    bare = entry.kind == "TYPE" and "(" not in entry.definition and " AS " not in entry.definition
    return bare or entry.kind == "SHELL TYPE"


def taken_names(
    statements: Iterable[Statement], in_the_way: Iterable[InTheWay], existing: Existing
) -> list[Problem]:
    """Indexes share their names with relations: those that a statement is going to make, and an
    index or a relation of the target has."""
    gone = {item.name for item in in_the_way}
    taken: dict[Name, str] = {}
    for kind, schema, name, of in existing.objects:
        if kind == "INDEX" and Name(schema, of) not in gone:
            taken[Name(schema, name)] = f"an index of {schema}.{of}"
        elif kind in RELATION_KINDS and Name(schema, name) not in gone:
            taken[Name(schema, name)] = f"a {kind.lower()}"
    wanted = {own: str(one) for one in statements if (own := _relation_name(one))}
    return [
        Problem(
            statement,
            f"its name is that of {taken[name]} on the target",
            f"rename that, or this on the source, or drop it: {name}",
        )
        for name, statement in wanted.items()
        if name in taken
    ]


def _relation_name(statement: Statement) -> Name | None:
    """The name that it takes among relations and indexes."""
    name = statement.name
    if statement.kind in RELATION_KINDS | {"INDEX"}:
        return name
    keyed = statement.kind == "CONSTRAINT" and re.search(_KEYED, statement.sql)
    if keyed and statement.relation:
        return Name(name.schema, name.name.removeprefix(f"{statement.relation.name} "))
    return None


_KEYED = r"\b(PRIMARY KEY|UNIQUE|EXCLUDE)\b"


def conflicts(found: Iterable[InTheWay]) -> list[Problem]:
    """What is in the way and is no relation: relations have their own problems."""
    return [
        Problem(
            describe(item.entry),
            "exists on the target",
            "--existing replace sets it aside, --existing fill keeps it",
        )
        for item in found
        if item.entry.kind not in RELATION_KINDS - {"SEQUENCE"} | {"SHELL TYPE"}
    ]


def missing_extensions(entries: Iterable[Entry], existing: Existing) -> list[Problem]:
    return [
        Problem(
            f"extension {entry.tag}",
            "is not installed on the target's server",
            "install its package on the server that runs the target",
        )
        for entry in entries
        if entry.kind == "EXTENSION"
        and entry.tag not in existing.extensions | existing.available_extensions
    ]


TEMPLATES = {"template0", "template1"}
MANY_JOBS = 64


def odd_choices(spec: Spec, sides: Sides) -> Iterator[str]:
    """What can be done, and is hardly ever meant."""
    target = sides.target.server
    if target.database in TEMPLATES:
        yield f"the target is {target.database}: new databases of its server will be copies of it"
    if spec.jobs > MANY_JOBS:
        yield (
            f"{spec.jobs} jobs take up to {2 * spec.jobs + 2} connections on each side, and more"
            " jobs than the target has cores make a migration slower"
        )
