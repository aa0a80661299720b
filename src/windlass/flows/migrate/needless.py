"""Which steps of a migration have nothing to do, according to its plan: a scheduler need not start
a process for them. Pure functions, each named after what is missing."""

from __future__ import annotations

from windlass.flows.migrate.portions import (
    CONVERT_TABLES,
    IN_ORDER,
    VALIDATE_FOREIGN_KEYS,
)
from windlass.flows.migrate.work import Work
from windlass.model.statement import Phase


def large_objects(run: Work) -> bool:
    return not run.plan.objects.large_objects.count


def unlogged_tables(run: Work) -> bool:
    return not run.portions[CONVERT_TABLES]


def partitioned_indexes(run: Work) -> bool:
    return not run.portions[IN_ORDER[Phase.ATTACH]]


def foreign_keys(run: Work) -> bool:
    return not run.portions[VALIDATE_FOREIGN_KEYS]


def triggers_and_rules(run: Work) -> bool:
    return not run.portions[IN_ORDER[Phase.REST]]


def event_triggers(run: Work) -> bool:
    return not run.portions[IN_ORDER[Phase.LAST]]


def materialized_views(run: Work) -> bool:
    return not run.plan.objects.materialized_views


def dependents(run: Work) -> bool:
    return not run.plan.dependents
