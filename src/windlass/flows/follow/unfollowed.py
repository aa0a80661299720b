"""Tables and sequences that a run does not follow, and that are new on the side where applications
write. The other side lacks them, so they would be lost by a cutover.

Decides what counts as new; `windlass.following.blocking` decides what that prevents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def of_source(source: Connection, plan: Plan, detail: Mapping[str, Any]) -> dict[Name, bool]:
    """Tables and sequences of the source that are not followed, and whether each is a sequence: in
    the schemas of the run, and in all schemas if nothing was left out of it."""
    followed = {item.relation.name for item in plan.relations}
    ids = {int(item.relation.identity or 0) for item in plan.relations}
    found = _outside(source, followed, {one for one, _ in plan.sequences}, ids, side="source")
    return _selected(found, plan.schemas.keys(), detail)


def of_target(target: Connection, plan: Plan, detail: Mapping[str, Any]) -> dict[Name, bool]:
    """The same of the target, where a run knows no object ids."""
    followed = {item.target for item in plan.relations}
    found = _outside(target, followed, {one for _, one in plan.sequences}, (), side="target")
    return _selected(found, plan.schemas.values(), detail)


def new_on_source(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Unfollowed:
    return _sorted_out(_new_on_source(source, plan, detail), target, side="target")


def new_on_target(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Unfollowed:
    """New since applications write there."""
    return _sorted_out(_new_on_target(target, plan, detail), source, side="source")


def more_sequences(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> tuple[tuple[Name, Name], ...]:
    """New sequences that are on both sides, such as that of a column which was added to both: pairs
    of names on source and target. A cutover sets them like those of the plan."""
    forth = _new_on_source(source, plan, detail)
    back = _new_on_target(target, plan, detail)
    there, here = (_existing(forth, target, side="target"), _existing(back, source, side="source"))
    pairs = {one: to for one, (to, is_sequence) in forth.items() if is_sequence and to in there}
    pairs |= {to: one for one, (to, is_sequence) in back.items() if is_sequence and to in here}
    return tuple(sorted(pairs.items()))


_New = Mapping[Name, tuple[Name, bool]]  # names on the other side, and whether it is a sequence


def _new_on_source(source: Connection, plan: Plan, detail: Mapping[str, Any]) -> _New:
    known = set(detail.get(OF_SOURCE, ()))
    found = of_source(source, plan, detail).items()
    return _placed(plan.schemas, {name: what for name, what in found if str(name) not in known})


def _new_on_target(target: Connection, plan: Plan, detail: Mapping[str, Any]) -> _New:
    if OF_TARGET not in detail:
        return {}
    known, schemas = set(detail[OF_TARGET]), {new: old for old, new in plan.schemas.items()}
    found = of_target(target, plan, detail).items()
    return _placed(schemas, {name: what for name, what in found if str(name) not in known})


def _placed(schemas: Mapping[str, str], found: Mapping[Name, bool]) -> _New:
    return {
        name: (Name(schemas.get(name.schema, name.schema), name.name), is_sequence)
        for name, is_sequence in found.items()
    }


def _sorted_out(found: _New, other: Connection, *, side: str) -> Unfollowed:
    there = _existing(found, other, side=side)
    missing = tuple(str(name) for name, (to, _) in found.items() if to not in there)
    doubled = (name for name, (to, is_sequence) in found.items() if to in there and not is_sequence)
    return Unfollowed(missing, tuple(map(str, doubled)))


def _existing(found: _New, other: Connection, *, side: str) -> set[Name]:
    if not found:
        return set()
    asked = [[to.schema for to, _ in found.values()], [to.name for to, _ in found.values()]]
    with explaining("looking for tables", side=side):
        rows: Any = other.execute(
            "select n.nspname::text, c.relname::text from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace"
            " join unnest(%s::text[], %s::text[]) as asked (schema, name)"
            " on (asked.schema, asked.name) = (n.nspname, c.relname)"
            " where c.relkind in ('r', 'p', 'S')",
            asked,
        ).fetchall()
    return {Name(*row) for row in rows}


def _outside(
    session: Connection,
    followed: Collection[Name],
    sequences: Collection[Name],
    ids: Collection[int],
    *,
    side: str,
) -> dict[Name, bool]:
    """A partitioned table stands for its partitions, and is followed if one of them is. A sequence
    of a column belongs to the column's table: it is named only if that is followed."""
    with explaining("reading tables", side=side):
        rows: Any = session.execute(queries.load("rows_and_counters")).fetchall()
    found = [(Name(schema, name), *more) for schema, name, *more in rows]
    roots = {root for name, _, oid, root in found if name in followed or oid in ids}
    return {
        name: is_sequence
        for name, is_sequence, oid, root in found
        if (is_sequence and name not in sequences and (oid == root or root in roots))
        or (not is_sequence and oid == root and root not in roots)
    }


def _selected(
    found: Mapping[Name, bool], schemas: Collection[str], detail: Mapping[str, Any]
) -> dict[Name, bool]:
    everything = detail.get(ALL_OBJECTS)
    return {name: what for name, what in found.items() if everything or name.schema in schemas}
