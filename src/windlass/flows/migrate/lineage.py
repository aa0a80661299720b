"""What a migration has copied, by relation and column, for catalogs of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.flows.migrate.work import Work
from windlass.model.lineage import Arrived, Change, ColumnLineage, relation_dataset
from windlass.model.outcome import Outcome
from windlass.model.plan import ColumnPlan, RelationPlan, Server


def lineage_of(run: Work, outcome: Outcome) -> Sequence[Arrived]:
    plan = run.plan
    if not plan.how.copies_rows:
        return ()
    found = (
        _arrived(plan.source, plan.target, item, done.rows, done.bytes)
        for item, done in zip(plan.relations, outcome.relations, strict=True)
    )
    return [one for one in found if one]


def _arrived(
    source: Server, target: Server, item: RelationPlan, rows: int, size_bytes: int
) -> Arrived | None:
    written = relation_dataset(target.place, target.database, item.target)
    if written is None:
        return None
    read = relation_dataset(source.place, source.database, item.relation.name)
    return Arrived(
        (read,) if read else (),
        written,
        tuple(_column(item, one) for one in item.columns),
        tuple(_given(item)),
        rows=rows,
        size_bytes=size_bytes,
    )


def _given(item: RelationPlan) -> Iterator[tuple[str, str]]:
    if item.mapping is not None:
        yield from ((one.name, one.type) for one in item.mapping.given)
    else:
        yield from ((one.source, one.source_type) for one in item.columns)


def _column(item: RelationPlan, column: ColumnPlan) -> ColumnLineage:
    change, how = Change.KEPT, ""
    made = item.how(column)
    if made.how in ("hash", "null", "value"):
        change, how = Change.HIDDEN, made.how
    elif made.expression:
        change, how = Change.CONVERTED, made.made_by
    elif column.generated:
        change, how = Change.CONVERTED, "the target computes it"
    elif column.conversion:
        change = Change.CONVERTED
        how = f"{column.source_type} to {column.target_type}"
    origins = (made.source,) if made.source else ()
    return ColumnLineage(column.target, column.target_type, origins, change, how)
