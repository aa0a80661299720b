"""Tables and sequences that a run selects and does not follow, and that are new on the side where
applications write. The other side lacks them, so they would be lost by a cutover.

Decides what counts as new; `windlass.following.blocking` decides what that prevents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from windlass.engines.postgres import queries
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.own_schemas import read_own_schemas, read_own_tables
from windlass.engines.postgres.session import Connection
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.planning.postgres.select import Wanted, is_wanted

# in a run's details: what each side had that is not followed, when the run was planned, and when
# applications moved to the target
OF_SOURCE, OF_TARGET = "outside", "outside_target"
Pairs = tuple[tuple[Name, Name], ...]


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """New on the side where applications write."""

    missing: tuple[str, ...] = ()  # not on the other side
    doubled: tuple[str, ...] = ()  # tables on both sides: each has its own rows
    sequences: Pairs = ()  # on both sides: names there and on the other one


@dataclass(frozen=True, slots=True)
class Outside:
    """A table or sequence that is not followed."""

    name: Name
    is_sequence: bool
    oid: int
    root: int  # of a partition; of others, the same as `oid`


def of_source(source: Connection, plan: Plan) -> list[Outside]:
    followed = [
        *(item.relation.name for item in plan.relations),
        *(one for one, _ in plan.sequences),
    ]
    ids = [int(item.relation.identity or 0) for item in plan.relations]
    return _outside(source, plan, {}, followed, ids, side="source")


def of_target(target: Connection, plan: Plan) -> list[Outside]:
    """The same of the target, where a run knows no object ids."""
    followed = [*(item.target for item in plan.relations), *(one for _, one in plan.sequences)]
    return _outside(target, plan, plan.schemas, followed, (), side="target")


def new_on_source(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Unfollowed:
    """New since the run was planned."""
    found = _new(of_source(source, plan), detail.get(OF_SOURCE, ()), plan.schemas)
    return _sorted_out(found, target, side="target")


def new_on_target(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Unfollowed:
    """New since applications write there."""
    if OF_TARGET not in detail:
        return Unfollowed()
    found = _new(of_target(target, plan), detail[OF_TARGET], _turned(plan.schemas))
    return _sorted_out(found, source, side="source")


def more_sequences(
    source: Connection, target: Connection, plan: Plan, detail: Mapping[str, Any]
) -> Pairs:
    """New sequences that are on both sides, such as that of a column which was added to both: pairs
    of names on source and target. A cutover sets them like those of the plan."""
    forth = new_on_source(source, target, plan, detail).sequences
    back = new_on_target(source, target, plan, detail).sequences
    return tuple(sorted({*forth, *((one, to) for to, one in back)}))


_New = Mapping[Name, tuple[Name, bool]]  # names on the other side, and whether it is a sequence


def _new(found: Iterable[Outside], known: Collection[str], schemas: Mapping[str, str]) -> _New:
    """Those that are not `known`. A new partitioned table stands for its partitions. `schemas` maps
    to the other side's."""
    known = set(known)
    new = [one for one in found if str(one.name) not in known]
    roots = {one.oid for one in new}
    return {
        one.name: (_placed(one.name, schemas), one.is_sequence)
        for one in new
        if one.root == one.oid or one.root not in roots
    }


def _turned(schemas: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in schemas.items()}


def _placed(name: Name, schemas: Mapping[str, str]) -> Name:
    return Name(schemas.get(name.schema, name.schema), name.name)


def _sorted_out(found: _New, other: Connection, *, side: str) -> Unfollowed:
    there = _existing(found, other, side=side)
    both = {name: one for name, one in found.items() if one[0] in there}
    return Unfollowed(
        tuple(str(name) for name in found if name not in both),
        tuple(str(name) for name, (_, is_sequence) in both.items() if not is_sequence),
        tuple((name, to) for name, (to, is_sequence) in both.items() if is_sequence),
    )


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
    plan: Plan,
    schemas: Mapping[str, str],
    followed: Collection[Name],
    ids: Collection[int],
    *,
    side: str,
) -> list[Outside]:
    """What the run's options select, without what Windlass has made. A sequence of a followed table
    belongs to the run, whatever its name. `schemas` maps the source's to this side's."""
    wanted = Wanted.of(plan.made.options)
    given = [
        [schemas.get(one, one) for one in wanted.schemas] or None,
        [one.schema for one in followed],
        [one.name for one in followed],
        list(ids),
    ]
    with explaining("reading tables", side=side):
        rows: Any = (
            psycopg.RawCursor(session).execute(queries.load("rows_and_counters"), given).fetchall()
        )
    names = _turned(schemas)
    found = [
        Outside(Name(schema, name), *more)
        for schema, name, *more, belongs in rows
        if belongs or is_wanted(_placed(Name(schema, name), names), wanted)
    ]
    return _of_users(session, found, side=side) if found else []


def _of_users(session: Connection, found: Iterable[Outside], *, side: str) -> list[Outside]:
    own = read_own_schemas(session, side=side)
    tables = read_own_tables(session, own, side=side)
    return [one for one in found if one.name.schema not in own.names and one.name not in tables]
