"""What is created on the target: by which statements, what they replace, what refers to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from windlass.engines.postgres.archive import PARTS, RELATION_KINDS, Entry
from windlass.engines.postgres.catalog import Catalog
from windlass.model.plan import Arrival
from windlass.model.relation import Name
from windlass.model.report import Loss
from windlass.planning.chunks import SMALL_BYTES
from windlass.planning.naming import target_name
from windlass.planning.postgres.aside import Aside, plan_aside, same_definitions
from windlass.planning.postgres.build import unlabelled
from windlass.planning.postgres.conflicts import Conflict, find_conflicts, without_freed
from windlass.planning.postgres.dependents import Replacing, Repointing, plan_repointing
from windlass.planning.postgres.inputs import Read, Request
from windlass.planning.postgres.scope import Scope
from windlass.planning.postgres.statements import Written, write_statements
from windlass.planning.postgres.superusers import LeftOut, without_barred
from windlass.planning.postgres.surroundings import Surroundings
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.choices import Extent


@dataclass(frozen=True, slots=True)
class Definitions:
    """The statements of a run, decided before it is known how rows are copied."""

    entries: Sequence[Entry]  # without those that only a superuser could create
    conflicts: Sequence[Conflict]
    aside: Aside
    written: Written
    repointing: Repointing
    barred: tuple[Loss, ...]


def plan_definitions(
    request: Request, read: Read, scope: Scope, arriving: Mapping[Name, Arrival]
) -> Definitions:
    """Decide every statement, what is set aside before, and what is recreated afterwards."""
    found = find_conflicts(scope.entries, scope.schemas, read.target.existing)
    possible = _possible(request, read, scope, found)
    if request.existing is OnExisting.REPLACE:
        found = without_freed(found)
    aside = _aside(request, read, scope, found, possible.entries)
    written = _write(
        request,
        read,
        scope,
        possible.entries,
        _kept(request, read, found, aside, possible.entries),
        arriving,
    )
    if request.migrates:
        able, lost = unlabelled(written.statements, read.ask.try_out)
        written = replace(written, statements=able, losses=(*written.losses, *lost))
    repointing = _repoint(request, read, scope, aside, written)
    return Definitions(possible.entries, found, aside, written, repointing, possible.losses)


def _possible(request: Request, read: Read, scope: Scope, found: Iterable[Conflict]) -> LeftOut:
    """The entries that this user can create on the target."""
    if not request.creates:
        return LeftOut(tuple(scope.entries))
    there = {item.entry.id for item in found}
    return without_barred(scope.entries, read.target.catalog.server, there, read.ask.try_out)


def _aside(
    request: Request,
    read: Read,
    scope: Scope,
    found: Sequence[Conflict],
    entries: Sequence[Entry],
) -> Aside:
    if request.existing is not OnExisting.REPLACE or request.spec.extent is Extent.DATA:
        return Aside()
    unmoved = [item for item in found if not item.entry.schema]
    same = same_definitions(unmoved, scope.schemas, read.ask.target_archive, read.since)
    return plan_aside(request.run, found, entries, read.target.catalog, same)


def _kept(
    request: Request,
    read: Read,
    found: Iterable[Conflict],
    aside: Aside,
    entries: Iterable[Entry],
) -> Collection[int]:
    """Ids of entries for which the target keeps what it has."""
    if request.existing is not OnExisting.FILL:
        return aside.skip
    return _with_parts({item.entry.id for item in found}, entries, read.source.catalog)


def _write(
    request: Request,
    read: Read,
    scope: Scope,
    entries: Sequence[Entry],
    kept: Collection[int],
    arriving: Collection[Name],
) -> Written:
    if request.spec.extent is Extent.DATA:
        return Written((), (), ())
    source = read.source
    large = {
        relation.identity
        for relation in source.catalog.relations
        if relation.size_bytes >= SMALL_BYTES and relation.name in arriving
    }
    return write_statements(
        entries,
        _around(read, scope.renamed),
        skip=kept,
        apart={key.oid: key for key in source.key_constraints if str(key.relation_oid) in large},
        foreign_keys={key.oid: key for key in source.foreign_keys},
    )


def _around(read: Read, renamed: Mapping[str, str]) -> Surroundings:
    server = read.target.catalog.server
    return Surroundings(read.target.existing, server.user, renamed, server.superuser, server.major)


_IN_SCHEMA = "PUBLICATION TABLES IN SCHEMA"


def _with_parts(ids: set[int], entries: Iterable[Entry], source: Catalog) -> set[int]:
    """The ids, and those of the objects' parts: these exist as well, or are not wanted there.

    A foreign key is a part of the referring relation.
    """
    found = set(ids)
    by_id = {entry.id: entry for entry in entries}
    there = [by_id[id_] for id_ in ids if by_id[id_].kind in RELATION_KINDS]
    skipped = {Name(entry.schema, entry.tag) for entry in there}
    fed = {item.name for item in source.sequences if item.owner in skipped}
    for entry in by_id.values():
        if entry.kind == "SEQUENCE" and Name(entry.schema, entry.tag) in fed:
            found.add(entry.id)
        elif entry.kind == "FK CONSTRAINT":
            leaves_from = {name.name for name in skipped if name.schema == entry.schema}
            if any(entry.tag.startswith(f"{name} ") for name in leaves_from):
                found.add(entry.id)
        elif entry.kind in {*PARTS, _IN_SCHEMA} and found.intersection(entry.depends_on):
            found.add(entry.id)
    return found


def _repoint(
    request: Request, read: Read, scope: Scope, aside: Aside, written: Written
) -> Repointing:
    if not aside.items:
        return Repointing()
    target = read.target
    return plan_repointing(
        Replacing(
            run=request.run,
            set_aside=aside.items,
            arriving={target_name(one.name, scope.schemas): one for one in scope.relations},
            made={(one.kind, one.name) for one in written.statements},
            references=read.ask.references(),
            archive=read.ask.target_archive,
            foreign_keys=target.foreign_keys,
            populated={one.name for one in target.catalog.relations if one.is_populated_view},
            around=_around(read, {}),
        )
    )
