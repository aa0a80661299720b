"""What is shown of a plan while its run is watched. Kept in this process: a plan of thousands of
tables takes long to read, and does not change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from windlass.engines.postgres.session import Connection
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.portions import expected_items
from windlass.journal import records
from windlass.model.plan import Plan

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
    key = run.source, run.run, run.started_at
    if (kept := _KEPT.get(key)) is None:
        kept = shown_of(records.read_plan(connection, run.run))
        _KEPT.put(key, kept)
    return kept


class _Kept:
    """The plans that were used last. Threads share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._plans: OrderedDict[tuple[str, ...], ShownPlan] = OrderedDict()
        self._size = 0

    def get(self, key: tuple[str, ...]) -> ShownPlan | None:
        with self._lock:
            if key in self._plans:
                self._plans.move_to_end(key)
            return self._plans.get(key)

    def put(self, key: tuple[str, ...], plan: ShownPlan) -> None:
        with self._lock:
            if key in self._plans:
                return
            self._plans[key] = plan
            self._size += _size(plan)
            while self._size > MOST_KEPT and len(self._plans) > 1:
                _, old = self._plans.popitem(last=False)
                self._size -= _size(old)


def _size(plan: ShownPlan) -> int:
    return 1 + sum(1 + len(one.chunks) for one in plan.relations)


_KEPT = _Kept()
