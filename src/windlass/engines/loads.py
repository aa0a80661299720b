"""Checks of a load that are the same for every warehouse: tables fit, rows have keys, all rows
arrived."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.engines.base import OURS
from windlass.errors import WindlassError
from windlass.model.export import Column, Export
from windlass.model.report import Problem

RECORDS = f"{OURS}loads"  # beside the tables that are loaded


def misfits(
    table: str, wanted: Sequence[Column], types: Sequence[str], found: dict[str, tuple[str, bool]]
) -> list[Problem]:
    """How a table differs from what is to be loaded: `found` maps a column to its type and whether
    it is NOT NULL without a default; `types` are those that the columns would be created with."""
    misfit = []
    for column, type_ in zip(wanted, types, strict=True):
        there = found.get(column.name)
        if there is None:
            misfit.append(f"{column.name} ({type_}) is missing")
        elif there[0] != type_:
            misfit.append(f"{column.name} is {there[0]}, not {type_}")
    names = {column.name for column in wanted}
    misfit += [
        f"{name} is NOT NULL without a default and is not exported"
        for name, (_, needed) in found.items()
        if needed and name not in names
    ]
    if not misfit:
        return []
    hint = "alter or drop the table, or load into another: `table` of the relation"
    return [Problem(table, f"the table does not fit: {'; '.join(misfit)}", hint)]


def not_unique(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.name}: several rows have the same key ({', '.join(export.key)})",
        hint="nothing was loaded; give the relation a `key` that tells its rows apart",
    )


def check_arrived(export: Export, read: int, arrived: int) -> None:
    """Called before the load is committed.

    Raises:
        WindlassError: not every row that was read has arrived.
    """
    if read != arrived:
        raise WindlassError(
            f"{export.name}: {read:,} rows were read, {arrived:,} have arrived in {export.table}",
            hint="nothing was loaded; see whether a trigger or a rule of the table discards rows",
        )


def without_key(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.name}: rows have no key (NULL in {', '.join(export.key)})",
        hint="nothing was loaded; give the relation another `key`, or a `where` without them",
    )
