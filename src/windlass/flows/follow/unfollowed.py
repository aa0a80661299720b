"""Tables and sequences that a run does not follow, and that are new on the side where applications
write. The other side lacks them, so they would be lost by a cutover.

Decides what counts as new; `windlass.following.blocking` decides what that prevents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres import queries
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection
from windlass.flows.follow.begin import ALL_OBJECTS
from windlass.model.plan import Plan
from windlass.model.relation import Name

# in a run's details: what each side had that is not followed, when the run began, and when
# applications moved to the target
OF_SOURCE, OF_TARGET = "outside", "outside_target"


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """Names on the side where applications write."""

    missing: tuple[str, ...] = ()  # new, and not on the other side
    doubled: tuple[str, ...] = ()  # new, and on both sides: each has its own rows


def of_source(source: Connection, plan: Plan, detail: Mapping[str, Any]) -> list[Name]:
    """Tables and sequences of the source that are not followed: in the schemas of the run, and in
    all schemas if nothing was left out of it."""
    followed = {item.relation.name for item in plan.relations}
    followed |= {name for name, _ in plan.sequences}
    ids = {int(item.relation.identity or 0) for item in plan.relations}
    found = _outside(source, followed, ids, side="source")
    return _selected(found, plan.schemas.keys(), detail)


def of_target(target: Connection, plan: Plan, detail: Mapping[str, Any]) -> list[Name]:
    """The same of the target, where a run knows no object ids."""
    followed = {item.target for item in plan.relations} | {name for _, name in plan.sequences}
    found = _outside(target, followed, set(), side="target")
    return _selected(found, plan.schemas.values(), detail)


def new_on_source(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Unfollowed:
    known = set(detail.get(OF_SOURCE, ()))
    found = [name for name in of_source(source, plan, detail) if str(name) not in known]
    there = {name: Name(plan.schemas.get(name.schema, name.schema), name.name) for name in found}
    return _sorted_out(there, target, side="target")


def new_on_target(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Unfollowed:
    """New since applications write there."""
    if OF_TARGET not in detail:
        return Unfollowed()
    known, schemas = set(detail[OF_TARGET]), {new: old for old, new in plan.schemas.items()}
    found = [name for name in of_target(target, plan, detail) if str(name) not in known]
    there = {name: Name(schemas.get(name.schema, name.schema), name.name) for name in found}
    return _sorted_out(there, source, side="source")


def _sorted_out(found: Mapping[Name, Name], other: Connection, *, side: str) -> Unfollowed:
    if not found:
        return Unfollowed()
    asked = [[name.schema for name in found.values()], [name.name for name in found.values()]]
    with explaining("looking for tables", side=side):
        rows: Any = other.execute(
            "select n.nspname::text, c.relname::text from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace"
            " join unnest(%s::text[], %s::text[]) as asked (schema, name)"
            " on (asked.schema, asked.name) = (n.nspname, c.relname)"
            " where c.relkind in ('r', 'p', 'S')",
            asked,
        ).fetchall()
    there = {Name(*row) for row in rows}
    missing = tuple(str(name) for name, wanted in found.items() if wanted not in there)
    return Unfollowed(missing, tuple(str(n) for n, wanted in found.items() if wanted in there))


def _outside(
    session: Connection, followed: Collection[Name], ids: Collection[int], *, side: str
) -> list[Name]:
    """A partitioned table stands for its partitions, and is followed if one of them is."""
    with explaining("reading tables", side=side):
        rows: Any = session.execute(queries.load("rows_and_counters")).fetchall()
    found = [(Name(schema, name), oid, root) for schema, name, oid, root in rows]
    roots = {root for name, oid, root in found if name in followed or oid in ids}
    return [name for name, oid, root in found if oid == root and root not in roots]


def _selected(
    found: Iterable[Name], schemas: Collection[str], detail: Mapping[str, Any]
) -> list[Name]:
    everything = detail.get(ALL_OBJECTS)
    return [name for name in found if everything or name.schema in schemas]
