"""How the rows of each relation are copied: in which chunks, columns and format, into what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from windlass.engines.postgres.conversions import conversion
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.plan import Arrival, ColumnPlan, RelationPlan
from windlass.model.relation import Column, Name, Relation, Wire
from windlass.planning.chunks import BATCH_RELATIONS, Limits, batches, is_better_whole, split
from windlass.planning.naming import target_name
from windlass.planning.postgres.inputs import Read, Request
from windlass.planning.postgres.locks import most_statements
from windlass.planning.postgres.narrowing import Narrowed, narrow
from windlass.planning.postgres.scope import Scope
from windlass.spec.choices import ChunkBy
from windlass.spec.migrate import Spec


def plan_tables(
    request: Request, read: Read, scope: Scope, arriving: Mapping[Name, Arrival]
) -> Narrowed:
    """The relations in copying order: largest first, then by name. Counts values on the source that
    the target's columns may not hold."""
    ordered = sorted(
        (relation for relation in scope.relations if relation.holds_rows),
        key=lambda relation: (-relation.size_bytes, relation.name),
    )
    planned = tuple(_plan_tables(request.spec, read, scope.schemas, ordered, arriving))
    if not request.copies_rows:
        return Narrowed(planned)
    takes = dict(_takes(request, read, planned))
    narrowed = narrow(planned, takes, read.ask.census)
    return narrowed if request.migrates else Narrowed(narrowed.relations)


def _takes(
    request: Request, read: Read, planned: Iterable[RelationPlan]
) -> Iterator[tuple[Name, Relation]]:
    """The relations that take rows although some of their columns may not hold every value, by name
    on the target. A comparison asks only about values that were meant to change."""
    there = {relation.name: relation for relation in read.target.catalog.relations}
    for one in planned:
        arriving = read.arriving.get(one.relation.name)
        fills = one.arrival is Arrival.FILL and one.target in there
        if request.migrates and fills:
            yield one.target, there[one.target]
        elif arriving is not None:
            yield one.target, arriving


def _plan_tables(
    spec: Spec,
    read: Read,
    schemas: Mapping[str, str],
    ordered: Sequence[CatalogRelation],
    arriving: Mapping[Name, Arrival],
) -> Iterable[RelationPlan]:
    there = {relation.name: relation for relation in read.target.catalog.relations}
    most = min(BATCH_RELATIONS, most_statements(read.target.locks, spec.jobs))
    total = sum(relation.size_bytes for relation in ordered)
    limits = Limits(spec.chunk_threshold, spec.max_chunks, spec.min_chunk_rows)
    routes = _routes(read, ordered)
    roots = {name: route for name, route in routes.items() if route}
    for relation, batch in zip(ordered, batches(ordered, roots, most), strict=True):
        name, arrival = target_name(relation.name, schemas), arriving[relation.name]
        takes = there.get(name) if arrival is Arrival.FILL else read.arriving.get(relation.name)
        columns = _columns(relation, takes)
        how, route = _chunk_by(spec, relation, total), routes[relation.name]
        yield RelationPlan(
            relation=relation.plain,
            target=name,
            arrival=arrival,
            wire=_wire(relation, columns),
            columns=columns,
            chunks=split(
                relation,
                how,
                spec.chunk_size,
                read.ask.bounds,
                limits,
                blocks=relation.storage.divisible_blocks,
            ),
            batch=batch,
            enters=target_name(route, schemas) if route else name,
            root=route,
            reordered=relation.family.reordered,
        )


def _routes(read: Read, relations: Iterable[CatalogRelation]) -> dict[Name, Name | None]:
    """The relation that the rows of each partition enter through, if the target may divide rows
    differently."""
    sides = read.source.catalog.server, read.target.catalog.server
    is_same_text = len({side.encoding for side in sides}) == 1
    families = ((one.name, one.family) for one in relations)
    return {name: one.root if is_same_text else one.text_root for name, one in families}


def _chunk_by(spec: Spec, relation: Relation, total_bytes: int) -> ChunkBy:
    if spec.chunk_threshold and relation.rows >= spec.chunk_threshold:
        return spec.chunk_by  # asked for
    if spec.chunk_by is ChunkBy.AUTO and is_better_whole(
        relation.size_bytes, total_bytes, spec.jobs, spec.chunk_size
    ):
        return ChunkBy.WHOLE
    return spec.chunk_by


def _columns(relation: Relation, takes: Relation | None) -> tuple[ColumnPlan, ...]:
    """The columns, matched by name with those of the relation that takes the rows. Columns that the
    target generates are not sent."""
    there = {column.name: column for column in (takes or relation).columns}
    return tuple(
        plan_column(column, there[column.name])
        for column in relation.columns
        if column.name in there
    )


def plan_column(column: Column, target: Column) -> ColumnPlan:
    """One column, from its definitions on both sides."""
    return ColumnPlan(
        source=column.name,
        source_type=column.type,
        target=target.name,
        target_type=target.type,
        generated=target.generated,
        not_null=column.not_null,
        fills_itself="identity"
        if column.identity
        else column.default and f"default {column.default}",
        conversion=conversion(column, target),
    )


def _wire(relation: Relation, columns: Iterable[ColumnPlan]) -> Wire:
    """Binary only if all types are the same. Columns that only the source generates are sent
    too."""
    wires = {column.name: column.wire for column in relation.columns}
    sent = [column for column in columns if not column.generated]
    as_text = any(one.conversion or wires[one.source] is Wire.TEXT for one in sent)
    return Wire.TEXT if as_text else Wire.BINARY
