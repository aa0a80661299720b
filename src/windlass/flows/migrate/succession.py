"""Which runs took over objects that an earlier one made. Reads only the journal."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial

from windlass.aside.objects import STAYS_IF_USED
from windlass.engines.postgres.session import Connection
from windlass.journal import records
from windlass.journal.following import undoing
from windlass.model.outcome import State
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Phase


def later_problems(
    connection: Connection, found: records.Run, *, large_objects: bool = True
) -> list[Problem]:
    """Problems if a later run has put objects under names that the run made or was to make. Large
    objects have no names: if both runs have some, the later one may have set the earlier one's
    aside."""
    later = [
        one
        for one in records.read_migrations(connection)
        if one.started_at > found.started_at and one.state is not State.ROLLED_BACK
    ]
    if not (later and records.has_lines(connection, found.run)):
        return []  # it made nothing, or is the last
    plan = records.read_plan(connection, found.run)
    return [
        Problem(
            f"run {one.run}",
            f"came after {found.run} and took over what it made",
            undoing(connection, one, " first"),
        )
        for one in later
        if _took_over(records.read_plan(connection, one.run), plan, large_objects)
    ]


def earlier_problems(connection: Connection, forgotten: Iterable[str]) -> list[Problem]:
    """Problems with forgetting runs that took over objects of earlier ones: afterwards an earlier
    run could be undone by name, which would drop the present objects."""
    runs = records.read_migrations(connection)
    names = set(forgotten)
    kept = [one for one in runs if one.run not in names and one.state is not State.ROLLED_BACK]
    plans = {one.run: records.read_plan(connection, one.run) for one in kept}
    read_plan = cache(partial(records.read_plan, connection))
    return [
        Problem(
            f"run {later.run}",
            f"has taken over what {earlier.run} made, which could then no longer be rolled back",
            f"windlass clean {earlier.run} first, or windlass clean for all",
        )
        for later in runs
        if later.run in names and later.state is not State.ROLLED_BACK
        for earlier in kept
        if earlier.started_at < later.started_at
        and _took_over(read_plan(later.run), plans[earlier.run])
    ]


def _took_over(later: Plan, plan: Plan, large_objects: bool = True) -> bool:
    """Whether the later run touches anything that this one made."""
    made = set(plan.targets)
    if large_objects and later.objects.large_objects.count and plan.objects.large_objects.count:
        return True
    return (
        any(item.name in made for item in later.set_aside)
        or any(item.target in made for item in later.relations)
        or not _made(later).isdisjoint(_made(plan))
    )


def _made(plan: Plan) -> set[tuple[str, Name]]:
    """Objects that the run's rollback drops separately. Schemas and extensions that others use
    stay."""
    return {
        (one.kind, one.name)
        for one in plan.statements
        if one.drop and one.phase in (Phase.SCHEMA, Phase.TABLES) and one.kind not in STAYS_IF_USED
    }
