"""What a run of loads has written, by table and column, for catalogs of data."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from windlass.flows.load.context import Loading
from windlass.loading.made import LoadPlan
from windlass.model.lineage import (
    Arrived,
    Change,
    ColumnLineage,
    Dataset,
    asset_dataset,
)
from windlass.model.load import Assigned
from windlass.model.outcome import Outcome, RelationOutcome


def lineage_of(run: Loading, outcome: Outcome) -> Sequence[Arrived]:
    found = []
    for plan, relation in zip(run.plans, outcome.relations, strict=True):
        for asset in run.target.assets(plan.load.table.name):
            if target := asset_dataset(asset):
                found.append(_arrived(plan, relation, target))
    return found


def _arrived(plan: LoadPlan, relation: RelationOutcome, target: Dataset) -> Arrived:
    sources = tuple(one for place in plan.load.inputs if (one := _source(place)))
    alone = len(sources) == 1
    beside = {one.field for one in plan.load.assigned}  # hashes
    beside -= {one.field for one in plan.fitted.assigned}
    columns = tuple(_column(one, has_origin=alone) for one in plan.fitted.assigned)
    fields = tuple(
        (one.name, one.column.type if one.column else "text")
        for one in plan.load.fields
        if alone and one.name not in beside
    )
    return Arrived(sources, target, columns, fields, relation.rows, relation.bytes)


def _source(place: str) -> Dataset | None:
    """A URL; the path of a file means nothing on another machine."""
    parts = urlsplit(place)
    if not parts.scheme or not parts.netloc:
        return None
    return Dataset(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/"))


def _column(one: Assigned, *, has_origin: bool) -> ColumnLineage:
    change, how = Change.KEPT, ""
    if one.mask:
        change, how = Change.HIDDEN, f"masked: {one.mask}"
    elif one.sql:
        change, how = Change.CONVERTED, one.sql
    origins = (one.field,) if one.field and has_origin else ()
    return ColumnLineage(one.column, one.type, origins, change, how)
