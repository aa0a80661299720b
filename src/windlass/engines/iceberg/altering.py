"""Changes the columns of an Iceberg table to those of an export, in the load's transaction."""

from __future__ import annotations

from pyiceberg.table import Transaction
from pyiceberg.types import PrimitiveType

from windlass.engines.iceberg.types import type_of
from windlass.model.export import Export
from windlass.model.fit import Fit


def alter(work: Transaction, export: Export, fit: Fit) -> None:
    """Change the columns. If columns are replaced, the rows go as well: a column of another type is
    a new column."""
    if not fit.changes:
        return
    types = {one.name: type_of(one) for one in export.columns}
    is_replaced = export.rules.schema == "replace"
    with work.update_schema() as change:
        for name in fit.dropped:
            change.delete_column(name)
        for name in fit.retyped:
            if is_replaced:
                change.delete_column(name)
                change.add_column(name, types[name])
            else:
                type_ = types[name]
                assert isinstance(type_, PrimitiveType), "lists are not widened"
                change.update_column(name, field_type=type_)
        for name in fit.added:
            change.add_column(name, types[name])
