"""What an export has written, by relation and column, for catalogs of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.flows.export.context import Exporting
from windlass.flows.export.manifests import slug
from windlass.model.export import Column, Export
from windlass.model.lineage import (
    Arrived,
    Change,
    ColumnLineage,
    Dataset,
    asset_dataset,
    folder_dataset,
)
from windlass.model.outcome import Outcome, RelationOutcome


def lineage_of(run: Exporting, outcome: Outcome) -> Sequence[Arrived]:
    # relations that were left out come last
    done = zip(run.exports, outcome.relations, strict=False)
    return [one for export, result in done for one in _arrived(run, export, result)]


def _arrived(run: Exporting, export: Export, result: RelationOutcome) -> Iterator[Arrived]:
    """One for the warehouse, and one for files that are kept. All runs of a relation are one
    dataset."""
    found = [asset_dataset(one) for one in run.source.assets(export)]
    sources = tuple(one for one in found if one)
    whole = bool(export.relation)  # the columns of a query have unknown origins
    columns = tuple(_column(one, has_origin=whole) for one in export.columns)
    read = tuple((one.origin, one.type) for one in export.columns if whole and not one.load)
    for target, size, files in _targets(run, export, result):
        yield Arrived(sources, target, columns, read, result.rows, size, files)


def _targets(
    run: Exporting, export: Export, result: RelationOutcome
) -> Iterator[tuple[Dataset, int | None, int | None]]:
    """Each with the bytes and files that it took."""
    for asset in run.target.assets(export.table) if run.target else ():
        if table := asset_dataset(asset):
            yield table, None, None
    if run.keeps_files:
        yield folder_dataset(run.store.place(slug(export.name))), result.bytes, result.chunks


def _column(column: Column, *, has_origin: bool) -> ColumnLineage:
    change, how = Change.KEPT, ""
    if column.load:  # Windlass adds it
        return ColumnLineage(column.name, column.described)
    if column.mask:
        change, how = Change.HIDDEN, "every value is ***"
    elif column.hash:
        change, how = Change.HIDDEN, "every value is an HMAC of it"
    elif column.cast:
        change, how = Change.CONVERTED, f"cast to {column.cast}"
    elif column.is_cast:
        change, how = Change.CONVERTED, f"the text of {column.type}"
    return ColumnLineage(
        column.name, column.described, (column.origin,) if has_origin else (), change, how
    )
