"""A plan of a source of another engine, as that engine reads it: its names, its ranges of rows, and
the text in which values travel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from windlass.model.chunk import Chunk, Range
from windlass.model.plan import ColumnPlan, Plan, RelationPlan, Server
from windlass.model.translation import Reading, SourceTable
from windlass.planning.chunks import is_shared, plan_loads
from windlass.planning.postgres.translated.archive import Fitted
from windlass.planning.postgres.translated.naming import folded, folded_name

Cut = Callable[[SourceTable, int], Sequence[Range]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read of the source."""

    tables: Sequence[Fitted]
    server: Server
    cut: Cut
    chunks: Callable[[int, int], int]  # how many chunks a table of so many bytes and rows gets


def as_read(plan: Plan, sources: Sources) -> Plan:
    by_name = {one.name: one for one in sources.tables}
    relations = tuple(
        _as_read(item, by_name[item.relation.name], sources) for item in plan.relations
    )
    loads = plan_loads((item.batch, item.chunks) for item in relations)
    return replace(
        plan,
        source=sources.server,
        relations=relations,
        loads=loads if plan.how.copies_rows else (),
    )


def _as_read(item: RelationPlan, one: Fitted, sources: Sources) -> RelationPlan:
    names = {folded(column.name): column for column in one.table.columns}
    columns = tuple(_column(column, one, names[column.source].name) for column in item.columns)
    size = item.relation.size_bytes
    # small tables share a transaction: cutting them gains nothing
    count = 1 if is_shared(item.batch) else sources.chunks(size, one.fit.rows)
    ranges = sources.cut(one.table, count)
    chunks = tuple(
        Chunk(item.relation.name, number, range_, size // len(ranges))
        for number, range_ in enumerate(ranges)
    )
    reading = Reading(
        one.table.name,
        tuple(one.field(column.source) for column in columns),
        _key(one, {column.source for column in columns}),
        selected=one.table.selected,
    )
    made = replace(item, columns=columns, chunks=chunks, reading=reading)
    return _named(made, one) if one.table.mapping else made


def _named(item: RelationPlan, one: Fitted) -> RelationPlan:
    """The relation with the real name of its mapped table."""
    name = folded_name(one.table.name, one.schema)
    return replace(
        item,
        relation=replace(item.relation, name=name),
        chunks=tuple(replace(chunk, relation=name) for chunk in item.chunks),
        mapping=one.table.mapping,
    )


def _column(column: ColumnPlan, one: Fitted, name: str) -> ColumnPlan:
    source = next(each for each in one.table.columns if each.name == name)
    return replace(column, source=name, source_type=source.type, fills_itself="")


def _key(one: Fitted, columns: set[str]) -> tuple[str, ...]:
    """The columns that identify rows: never NULL, and compared."""
    not_null = {each.name for each in one.table.columns if each.not_null}
    primary = one.table.primary_key
    if primary and columns.issuperset(primary.columns):
        return primary.columns
    for key in one.table.uniques:
        if columns.issuperset(key.columns) and not_null.issuperset(key.columns):
            return key.columns
    return ()


def to_copy(reading: Reading, columns: Sequence[ColumnPlan]) -> Reading:
    """What is read for the copy: everything except columns that the target computes."""
    computed = {column.source for column in columns if column.generated}
    return replace(reading, fields=tuple(one for one in reading.fields if one.name not in computed))
