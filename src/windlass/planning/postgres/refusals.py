"""What prevents a migration: servers, existing tables and their rows, missing extensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from psycopg import sql

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Catalog, Existing
from windlass.engines.postgres.largeobjects import Collisions
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.relation import Kind, Name
from windlass.model.report import Problem
from windlass.model.units import plural
from windlass.model.wording import word
from windlass.planning.naming import target_name
from windlass.planning.postgres.privileges import Privilege
from windlass.planning.postgres.sides import Sides
from windlass.planning.postgres.standing import read_only
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.choices import Extent
from windlass.spec.migrate import Spec

REPLACE = word("existing", OnExisting.REPLACE)
FILL = word("existing", OnExisting.FILL)


def find_problems(spec: Spec, sides: Sides) -> list[Problem]:
    """What prevents rows from arriving; `reading_problems` has what prevents reading them."""
    return [
        *_server_problems(sides),
        *empty_source_problems(spec, sides),
        *_writing_problems(spec, sides),
    ]


def empty_source_problems(spec: Spec, sides: Sides) -> list[Problem]:
    """An empty source suggests that source and target were swapped: it would replace what exists,
    or leave it and call that a migration."""
    there = [relation for relation in sides.target.relations if relation.holds_rows]
    if spec.allow_empty_source or not there:
        return []
    hint = f"are source and target swapped? If not: {word('allow-empty-source')}"
    if not sides.source.relations:
        message = f"has no tables, and the target has {len(there):,}"
        return [Problem("source", message, hint)]
    names = {target_name(one.name, sides.schemas) for one in sides.relations}
    replaced = [one for one in there if one.name in names and one.storage.blocks]
    has_rows = any(one.storage.blocks for one in sides.relations if one.holds_rows)
    if spec.existing is not OnExisting.REPLACE or not replaced or has_rows:
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


def _writing_problems(spec: Spec, sides: Sides) -> Iterator[Problem]:
    there = {relation.name: relation for relation in sides.target.relations}
    for relation in sides.relations:
        name = target_name(relation.name, sides.schemas)
        found = there.get(name)
        if found is None:
            if spec.extent is Extent.DATA and relation.holds_rows:
                yield Problem(
                    str(name), f"is not on the target, and {word('data-only')} creates nothing"
                )
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
                f"{REPLACE} sets it aside, {FILL} loads into it when it is empty",
            )


def _missing_partition(name: Name, parent: Name) -> Iterator[Problem]:
    """The partitions of a filled table stay as they are: a new one would be a separate table."""
    message = f"is not on the target, where {parent}, of which it is a partition, is filled"
    yield Problem(str(name), message, "create it there, or exclude it")


def _guarded_by_policies(found: CatalogRelation, target: Catalog) -> Problem:
    """COPY refuses a table whose row security is on for the user, whatever its policies say."""
    user = target.server.user
    return Problem(
        str(found.name),
        f"has row security on the target, and cannot be loaded by {user}",
        f"ALTER ROLE {_quoted(user)} BYPASSRLS, or connect as the table's owner",
    )


def _filling_problems(relation: CatalogRelation, found: CatalogRelation) -> Iterator[Problem]:
    if not relation.holds_rows:
        return
    if found.kind not in (Kind.TABLE, Kind.PARTITIONED):
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
    """`filled` says for each existing relation that rows go into whether it is empty."""
    return [
        Problem(str(name), "has rows on the target", f"{FILL} loads into empty relations only")
        for name, empty in filled.items()
        if not empty
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


def collision_problems(found: Collisions, user: str, existing: OnExisting) -> list[Problem]:
    """Large objects of the target with ids that the source's large objects need."""
    some = ", ".join(map(str, found.first)) + (", ..." if found.count > len(found.first) else "")
    message = f"{found.count:,} of the target's have ids that the source's need: {some}"
    if not found.count or (existing is OnExisting.REPLACE and not found.foreign):
        return []
    if existing is OnExisting.REPLACE:
        message = f"{message}; {found.foreign:,} of them do not belong to {user}"
        return [Problem("large objects", message, "connect as their owner, or as a superuser")]
    hint = f"{REPLACE} keeps them under other ids, for windlass rollback to put back"
    return [Problem("large objects", message, hint)]


TEMPLATES = {"template0", "template1"}

MANY_JOBS = 64


def odd_choices(spec: Spec, sides: Sides) -> Iterator[str]:
    """Combinations that are possible, but rarely intended."""
    target = sides.target.server
    if target.database in TEMPLATES:
        yield f"the target is {target.database}: new databases of its server will be copies of it"
    if spec.jobs > MANY_JOBS:
        yield (
            f"{spec.jobs} jobs take up to {2 * spec.jobs + 2} connections on each side, and more"
            " jobs than the target has cores make a migration slower"
        )


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
