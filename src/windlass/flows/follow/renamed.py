"""Tables that were renamed since a run began, with their present names on both sides.

A plan keeps the names of its beginning. What the stream has passed since is noted in the run's
details, by the object ids of the source: the way back, a cutover and the next process need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name

RENAMED = "renamed"  # in a run's details
Renamed = Mapping[int, tuple[Name, Name]]  # names on source and target


def to_detail(renamed: Renamed) -> Mapping[str, Any]:
    """For the run's details; replaces what is there."""
    return {
        RENAMED: {
            str(identity): [*_parts(source), *_parts(target)]
            for identity, (source, target) in renamed.items()
        }
    }


def read_renamed(detail: Mapping[str, Any]) -> Renamed:
    return {
        int(identity): (Name(*parts[:2]), Name(*parts[2:]))
        for identity, parts in detail.get(RENAMED, {}).items()
    }


def with_present_names(plan: Plan, detail: Mapping[str, Any]) -> Plan:
    """The plan with the present names, by a run's details. Only names change: its chunks stay as
    they were copied."""
    renamed = read_renamed(detail)
    if not renamed:
        return plan
    return replace(plan, relations=tuple(_present(one, renamed) for one in plan.relations))


def _present(item: RelationPlan, renamed: Renamed) -> RelationPlan:
    found = renamed.get(int(item.relation.identity or 0))
    if found is None:
        return item
    source, target = found
    return replace(
        item,
        relation=replace(item.relation, name=source),
        target=target,
        enters=target if item.root is None else item.enters,
    )


def _parts(name: Name) -> tuple[str, str]:
    return name.schema, name.name
