"""Decides what a resumed run must copy again, before it continues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.aside.objects import empty_filled
from windlass.engines.postgres.activity import has_changed, read_activity
from windlass.engines.postgres.unlogged import Unlogged, read_unlogged
from windlass.errors import CannotResume
from windlass.flows.migrate.portions import IN_ORDER, SET_SEQUENCES, TRANSFERS
from windlass.flows.migrate.resuming import BEGIN_AGAIN
from windlass.flows.sides import Sides
from windlass.journal import records
from windlass.journal.journal import Journal
from windlass.model.event import Noticed
from windlass.model.plan import RelationPlan
from windlass.model.relation import Name
from windlass.model.statement import Phase
from windlass.model.units import several

Activity = Mapping[str, Any]
# once one of these has begun, relations may have foreign keys and triggers
_GUARDS = (IN_ORDER[Phase.FOREIGN_KEYS], IN_ORDER[Phase.REST])


def is_guarded(journal: Journal) -> bool:
    """Whether the run's relations may already have foreign keys and triggers while rows are copied
    again."""
    return any(journal.lines(step) for step in _GUARDS)


def settle_changed(run: Sides, journal: Journal, activities: Mapping[int, Activity]) -> None:
    """Relations with only some chunks copied, some from an earlier snapshot, are resumed if nothing
    was written to them since. Otherwise their rows are deleted and copied again, because rows may
    have moved between ranges.

    Partitions whose rows go in through one root cannot be distinguished there and are treated
    together. `activities` were noted at the run's snapshots, by number.
    """
    source, done = run.hold.reader, journal.lines("copy_chunks")
    groups: dict[Name, list[RelationPlan]] = defaultdict(list)
    for item in run.plan.relations:
        numbers = [done[chunk.id].snapshot or 1 for chunk in item.chunks if chunk.id in done]
        is_partial = 0 < len(numbers) < len(item.chunks)
        if is_partial and set(numbers) != {run.snapshot.number}:
            groups[item.enters].append(item)
    if not groups:
        return
    now = read_activity(source, [one.relation.name for some in groups.values() for one in some])

    def changed(item: RelationPlan) -> bool:
        oldest = min(done[one.id].snapshot or 1 for one in item.chunks if one.id in done)
        return has_changed(source, item.relation.name, activities.get(oldest, {}), now)

    for enters, items in groups.items():
        some = [item for item in items if changed(item)]
        if some:
            _copy_again(run, journal, {enters})
            _say(run, some, "changed after the first snapshot was lost")


def settle_emptied(run: Sides, journal: Journal) -> None:
    """A crash of the target empties its unlogged relations, but their journal lines remain.

    Checks all relations that are unlogged there now: filled unlogged and not yet converted,
    unlogged on the source, or unlogged before the run.

    Raises:
        CannotResume: they cannot be filled again while they have triggers and foreign keys.
    """
    if records.has_survived(run.control, run.plan.run):
        return
    unlogged = read_unlogged(run.control)
    copied = {item for step in TRANSFERS for item in journal.lines(step)}
    emptied = [
        item
        for item in run.plan.relations
        if item.target in unlogged and any(chunk.id in copied for chunk in item.chunks)
    ]
    if is_guarded(journal):
        _refuse_closed([one for one in emptied if _is_closed(run, unlogged[one.target])])
    _copy_again(run, journal, {item.enters for item in emptied})
    if any(target in unlogged for _, target in run.plan.sequences):
        journal.forget(run.control, [SET_SEQUENCES], [""])
    if emptied:
        _say(run, emptied, "emptied by a crash of the target, as unlogged tables are")
    records.insert_crash_marker(run.control, run.plan.run)


def _is_closed(run: Sides, found: Unlogged) -> bool:
    return found.guarded or (found.has_triggers and not run.plan.how.silences_triggers)


def _refuse_closed(items: Sequence[RelationPlan]) -> None:
    if items:
        raise CannotResume(
            f"the target crashed, which emptied unlogged tables that have triggers, foreign keys or"
            f" row security now: {_names(items)}",
            hint=BEGIN_AGAIN,
        )


def copy_again(run: Sides, journal: Journal, items: Sequence[RelationPlan], why: str) -> None:
    """Delete the rows of these relations, and say that they are copied again."""
    if items:
        _copy_again(run, journal, {item.enters for item in items})
        _say(run, items, why)


def _copy_again(run: Sides, journal: Journal, entered: set[Name]) -> None:
    """Delete the rows and their journal lines."""
    together = [item for item in run.plan.relations if item.enters in entered]
    if not together:
        return
    ids = [chunk.id for item in together for chunk in item.chunks]
    with run.control.transaction():
        if run.plan.how.silences_triggers:
            run.control.execute("set local session_replication_role = replica")
        empty_filled(run.control, [item.target for item in together])
        journal.forget(run.control, TRANSFERS, ids)


def _say(run: Sides, items: Sequence[RelationPlan], why: str) -> None:
    verb = "was" if len(items) == 1 else "were"
    run.emit(Noticed(f"{_names(items)} {verb} {why}: copied again"))


def _names(items: Sequence[RelationPlan]) -> str:
    return several(sorted(str(item.relation.name) for item in items), 20)
