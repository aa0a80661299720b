"""Which relations and entries of the source a plan covers, and their schemas on the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.plan import Arrival
from windlass.model.relation import Kind, Name
from windlass.model.report import Loss, Problem
from windlass.planning.naming import target_name
from windlass.planning.postgres.inputs import Read, Request
from windlass.planning.postgres.own import others_entries, others_relations
from windlass.planning.postgres.present import Present
from windlass.planning.postgres.select import Selection, Wanted, select_entries, select_relations
from windlass.planning.postgres.sides import Sides
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.choices import Extent


@dataclass(frozen=True, slots=True)
class Scope:
    """What is selected from the source. `selection` has all selected entries; `entries` are those
    that the target does not have already."""

    wanted: Wanted
    sides: Sides
    archive: Sequence[Entry]  # all of the user's
    selection: Selection
    entries: Sequence[Entry]
    losses: tuple[Loss, ...]  # of what needs something that is not selected

    @property
    def relations(self) -> tuple[CatalogRelation, ...]:
        return self.sides.relations

    @property
    def schemas(self) -> Mapping[str, str]:
        return self.sides.schemas

    @property
    def renamed(self) -> dict[str, str]:
        return {old: new for old, new in self.schemas.items() if old != new}


def choose_scope(request: Request, read: Read) -> Scope:
    """Select relations and entries, and give each schema its name on the target."""
    chosen = request.wanted
    source, target = read.source.catalog, read.target.catalog
    others = others_entries(read.entries, read.source.own_schemas)
    relations = select_relations(source, chosen)
    names = schema_names(others.entries, source)
    schemas = _schema_map(request, names, relations)
    owned_by = {item.name: item.owner for item in source.sequences if item.owner}
    present = Present(
        others.entries, schemas, read.target.existing, read.ask.target_archive, read.since
    )
    selection = select_entries(
        others.entries, {relation.name for relation in relations}, chosen, owned_by, present
    )
    shared = present.shared(selection.needed)
    there = others_relations(target, read.target.own_schemas)
    return Scope(
        wanted=chosen,
        sides=Sides(source, there, read.target.existing, relations, schemas),
        archive=others.entries,
        selection=selection,
        entries=[entry for entry in selection.entries if entry.id not in shared],
        losses=(*selection.stranded, *others.stranded),
    )


def schema_names(entries: Iterable[Entry], source: Catalog) -> set[str]:
    """Every schema of the source that a user can name."""
    named = {entry.tag for entry in entries if entry.kind == "SCHEMA"}
    return named | {relation.name.schema for relation in source.relations} | {"public"}


def _schema_map(
    request: Request, names: set[str], relations: Iterable[CatalogRelation]
) -> dict[str, str]:
    if not request.wanted.is_everything:
        names = {relation.name.schema for relation in relations} | set(request.wanted.schemas)
    return {name: request.spec.map_schema.get(name, name) for name in sorted(names)}


def merged_schemas(schemas: Mapping[str, str]) -> list[Problem]:
    """Two schemas cannot become one, because their objects may have the same names."""
    arriving: dict[str, list[str]] = {}
    for old, new in schemas.items():
        arriving.setdefault(new, []).append(old)
    return [
        Problem(
            f"schema {new}",
            f"is where {' and '.join(some)} would all arrive",
            f"map {some[0]} to another name as well",
        )
        for new, some in arriving.items()
        if len(some) > 1
    ]


def plan_arrivals(request: Request, read: Read, scope: Scope) -> dict[Name, Arrival]:
    """How each selected relation is created on the target, by its name on the source."""
    there = {relation.name for relation in read.target.catalog.relations}
    return {
        relation.name: _arrival(request, target_name(relation.name, scope.schemas) in there)
        for relation in scope.relations
    }


def _arrival(request: Request, exists: bool) -> Arrival:
    if not exists:
        return Arrival.CREATE
    if request.existing is OnExisting.FILL or request.spec.extent is Extent.DATA:
        return Arrival.FILL
    return Arrival.REPLACE if request.existing is OnExisting.REPLACE else Arrival.REFUSE


def partition_roots(scope: Scope) -> tuple[Name, ...]:
    """Partitioned relations that are not partitions of a selected one, by their target names."""
    names = {relation.name for relation in scope.relations}
    return tuple(
        target_name(relation.name, scope.schemas)
        for relation in scope.relations
        if relation.kind is Kind.PARTITIONED and relation.partition_of not in names
    )
