"""Shared by origins that read tables through a mapping: what can be wrong with one, or lost."""

from __future__ import annotations

from windlass.errors import WindlassError
from windlass.model.report import Loss, LossClass
from windlass.model.translation import ForeignKey, SourceTable
from windlass.model.units import plural


def summarizing(table: SourceTable) -> WindlassError:
    """The error of a mapping that gives a row even if the table has none."""
    return WindlassError(
        f"{table.name}: its sql makes one row of all rows",
        hint="write what counts over several rows as a subquery",
        side="source",
    )


def unkept(table: SourceTable, key: ForeignKey, many: int, why: str = "") -> Loss:
    """The loss of a foreign key that some rows break."""
    message = (
        f"foreign key {key.name}: {plural(many, 'row')} refer{'s' if many == 1 else ''} to no row"
        f" of {key.refers_to.name}{why}: the key is not enforced for existing rows (NOT VALID)"
    )
    return Loss(str(table.name), message, LossClass.CONSTRAINTS)
