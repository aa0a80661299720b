"""The parts of a run that no stream of changes carries: unlogged tables, large objects,
materialized views.

Finds such objects on the side that is left, and decides which can be copied to the other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.replication.server import read_replication_relations
from windlass.flows.follow.begin import ALL_OBJECTS
from windlass.following.order import Pairing, Session
from windlass.following.reopening import FORTH, Leaving
from windlass.journal import records
from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name, Wire
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.planning.postgres.unstreamed import cannot_recopy

RECOPY = "recopy_large_objects"  # the step of the journal's lines about them
_COPIED, _OUTSIDE = "large_objects", "outside"  # in the notes of such lines


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is unlogged on the side that is left. `columns` pairs names there and here."""

    left: Name
    opened: Name
    columns: tuple[tuple[str, str], ...]
    wire: Wire


@dataclass(frozen=True, slots=True)
class Objects:
    """The large objects of a run, by their ids."""

    copied: frozenset[int]  # that the run or a cutover has made: it may change and remove them
    outside: frozenset[int]  # of the side that is left: they were there before the run


@dataclass(frozen=True, slots=True)
class Unstreamed:
    """All of it, of the side that is left."""

    tables: Sequence[Table] = ()
    objects: Objects | None = None  # None: the run has no part in large objects
    views: Sequence[Name] = ()  # of the side that is opened, in the order of refreshing
    problems: Sequence[Problem] = ()  # why something cannot be brought over


def read_unstreamed(
    plan: Plan, pair: Pairing, way: Leaving, detail: Mapping[str, Any]
) -> Unstreamed:
    """`detail` is what the journal knows about the run."""
    left, opened = way.closes.name.lower(), way.opens.name.lower()
    theirs = read_replication_relations(pair.closed, side=left)
    ours = read_replication_relations(pair.opened, side=opened)
    tables: list[Table] = []
    problems: list[Problem] = []
    for item in plan.relations:
        table = _table(item, way)
        found, there = theirs.get(table.left), ours.get(table.opened)
        if found is None or not found.is_unlogged:
            continue
        reason = cannot_recopy(item)
        if there is None or not there.is_unlogged:
            reason = f"it is not unlogged on the {opened}"
        if reason:
            problems.append(_cannot(str(table.left), reason))
        else:
            tables.append(table)
    objects = _objects(plan, pair, way, detail)
    if objects is not None and way is not FORTH and not _was_recopied(pair.journal, plan.run):
        reason = "they were not copied again when the target was opened"
        problems.append(_cannot("large objects", reason))
        objects = None
    return Unstreamed(tables, objects, _views(plan, way), problems)


def _table(item: RelationPlan, way: Leaving) -> Table:
    columns = [(one.source, one.target) for one in item.columns if not one.generated]
    if way is FORTH:
        return Table(item.relation.name, item.target, tuple(columns), item.wire)
    turned = tuple((there, here) for here, there in columns)
    return Table(item.target, item.relation.name, turned, item.wire)


def _cannot(what: str, reason: str) -> Problem:
    message = f"no stream carries what is written to it, and it cannot be copied again: {reason}"
    return Problem(what, message, f"{word('no-recopy')} leaves the other side as it is")


def _objects(plan: Plan, pair: Pairing, way: Leaving, detail: Mapping[str, Any]) -> Objects | None:
    if not (plan.objects.large_objects.count or detail.get(ALL_OBJECTS)):
        return None
    copied: set[int] = set()
    outside: list[int] = []
    for line in records.read_lines(pair.journal, plan.run):
        note = line.note or {}
        copied.update(note.get(_COPIED, ()))
        outside = note.get(_OUTSIDE, outside)
    return Objects(frozenset(copied), frozenset(() if way is FORTH else outside))


def _was_recopied(journal: Session, run: str) -> bool:
    """Whether it is known which large objects of the target are not the run's."""
    query = "select exists (select from windlass.line where run = %s and step = %s and note ? %s)"
    row: Any = journal.execute(query, (run, RECOPY, _OUTSIDE)).fetchone()
    return bool(row[0])


def note_of(copied: Sequence[int], outside: Sequence[int] | None = None) -> dict[str, Any]:
    """The note of a line about large objects that were copied again."""
    known = {} if outside is None else {_OUTSIDE: list(outside)}
    return {_COPIED: list(copied), **known}


def _views(plan: Plan, way: Leaving) -> list[Name]:
    names = plan.objects.materialized_views
    if way is FORTH:
        return list(names)
    return list(_turned(plan, names))


def _turned(plan: Plan, names: Sequence[Name]) -> Iterator[Name]:
    there = {to: name for _, name, to in plan.objects.others}
    yield from (there[name] for name in names if name in there)
