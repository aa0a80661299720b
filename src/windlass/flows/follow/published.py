"""What of a plan is published and followed, and where its changes go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from windlass.engines.postgres.replication.publications import Published
from windlass.engines.postgres.replication.server import read_replication_relations
from windlass.engines.postgres.replication.trees import Leaf
from windlass.engines.postgres.session import Connection
from windlass.model.following import Direction
from windlass.model.plan import Plan
from windlass.model.relation import Name

ROOTS_SINCE = 130000  # server version; older ones can publish only partitions
JOURNAL_TABLES = ("applied", "marker", "ddl")


def published(
    followed: Mapping[Name, Name], leaves: Sequence[Leaf], version: int
) -> list[Published]:
    """The relations to publish on the server that has `leaves` and `version`, so that the stream
    has the changes of `followed`. Partitions made later are published with their root."""
    roots = _whole_roots(followed, leaves) if version >= ROOTS_SINCE else set()
    under = {leaf.name for leaf in leaves if leaf.root in roots}
    relations = [name for name in followed if name not in under]
    return [
        *map(Published, sorted(roots)),
        *map(Published, relations),
        *(Published(Name("windlass", table)) for table in JOURNAL_TABLES),
    ]


def _whole_roots(followed: Mapping[Name, Name], leaves: Sequence[Leaf]) -> set[Name]:
    """Roots all of whose partitions are followed."""
    outside = {leaf.root for leaf in leaves if leaf.name not in followed or not leaf.is_table}
    return {leaf.root for leaf in leaves} - outside


def names(plan: Plan, direction: Direction) -> dict[Name, Name]:
    """For each relation with rows, the relation that its changes go to."""
    forward = {item.relation.name: item.enters for item in plan.relations}
    if direction is Direction.FORWARD:
        return forward
    # back: a change of one of the target's partitions goes to the source's root
    return {item.target: item.root or item.relation.name for item in plan.relations}


def logged(session: Connection, plan: Plan, direction: Direction) -> dict[Name, Name]:
    """`names` without relations that are unlogged on the session's server: its log has nothing of
    them."""
    side = "source" if direction is Direction.FORWARD else "target"
    there = read_replication_relations(session, side=side)
    return {
        name: to
        for name, to in names(plan, direction).items()
        if name in there and not there[name].is_unlogged
    }


def routed(plan: Plan, direction: Direction, leaves: Sequence[Leaf]) -> dict[Name, Name]:
    """`names`, plus partitions that were made since, whose names differ only in the schema. Changes
    of partitions that were left out never arrive, as their root is not published."""
    found = names(plan, direction)
    return {**dict(_made_since(plan, direction, leaves, found)), **found}


def _made_since(
    plan: Plan, direction: Direction, leaves: Sequence[Leaf], found: Mapping[Name, Name]
) -> Iterator[tuple[Name, Name]]:
    schemas = dict(plan.schemas)
    if direction is Direction.BACK:
        schemas = {new: old for old, new in schemas.items()}
    roots = {leaf.root for leaf in leaves if leaf.name in found}
    for leaf in leaves:
        if leaf.root in roots and leaf.name not in found:
            yield leaf.name, Name(schemas.get(leaf.name.schema, leaf.name.schema), leaf.name.name)
