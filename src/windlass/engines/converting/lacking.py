"""Which tables and columns of a plan the target lacks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from windlass.model.conversion import ConversionPlan
from windlass.model.relation import Name


def lacking(
    plan: ConversionPlan, have: Callable[[Name], Collection[str]], same: Callable[[str], str]
) -> dict[str, str]:
    """By table, for people. `have` gives a table's columns, none if it does not exist; `same` is
    equal for names that are the same on the target."""
    found: dict[str, str] = {}
    for table in plan.tables:
        columns = have(table.target)
        lacks = [one.target for one in table.columns if same(one.target) not in columns]
        if not columns:
            found[str(table.target)] = "is missing on the target"
        elif lacks:
            found[str(table.target)] = f"lacks column {', '.join(lacks)} on the target"
    return found
