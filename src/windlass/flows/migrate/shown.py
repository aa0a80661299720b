"""What is shown of a plan while its run is watched. Kept in this process: a plan of thousands of
tables takes long to read, and does not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.session import Connection
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.portions import expected_items
from windlass.journal import records
from windlass.model.plan import Plan
from windlass.run.recent import Recent, key_of

MOST_KEPT = 100_000  # chunks, of all plans that are kept: about 30 MB


@dataclass(frozen=True, slots=True)
class ShownRelation:
    name: str  # on the target
    chunks: tuple[str, ...]  # their ids
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ShownPlan:
    target: str
    version: str  # of windlass
    options: dict[str, Any]
    relations: tuple[ShownRelation, ...]  # in the plan's order
    size_bytes: int
    set_aside: int  # objects
    steps: Mapping[str, int]  # how many items each has, in order


def shown_of(plan: Plan) -> ShownPlan:
    items = expected_items(plan)
    return ShownPlan(
        str(plan.target),
        plan.made.version,
        plan.made.options,
        tuple(
            ShownRelation(
                str(one.target),
                tuple(chunk.id for chunk in one.chunks),
                sum(chunk.size_bytes for chunk in one.chunks),
            )
            for one in plan.relations
        ),
        plan.size_bytes,
        len(plan.set_aside),
        {one.name: len(items[one.name]) for one in MIGRATE.steps if items.get(one.name)},
    )


def read_shown(connection: Connection, run: records.Run) -> ShownPlan:
    """Raises:
    WindlassError: as `windlass.journal.records.read_plan`.
    """
    key = key_of(connection, run)
    if (kept := _KEPT.get(key)) is None:
        kept = shown_of(records.read_plan(connection, run.run))
        _KEPT.put(key, kept)
    return kept


def _size(plan: ShownPlan) -> int:
    return 1 + sum(1 + len(one.chunks) for one in plan.relations)


_KEPT: Recent[tuple[str, ...], ShownPlan] = Recent(MOST_KEPT, _size)
