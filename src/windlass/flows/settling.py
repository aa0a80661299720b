"""What a run that goes on has to copy again, before anything else is done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from windlass.backup.aside import empty_filled
from windlass.engines.postgres.activity import has_changed, read_activity
from windlass.engines.postgres.session import Connection
from windlass.flows.ddl import CONVERT_TABLES, TRANSFERS
from windlass.journal import journal
from windlass.model.event import Noticed
from windlass.model.plan import RelationPlan
from windlass.model.relation import Name

if TYPE_CHECKING:
    from windlass.flows.migration import Migration

Activity = Mapping[str, Any]


def settle_changed(run: Migration, source: Connection, activities: Mapping[int, Activity]) -> None:
    """Relations of which only some chunks are in go on if nothing was written to them since;
    else their rows are taken out again, as rows may have moved between the ranges.

    Partitions whose rows enter at one root cannot be told apart there, and go together.
    `activities` are those noted at the run's snapshots, by their numbers.
    """
    done = run.lines("transfer_partition")
    groups: dict[Name, list[RelationPlan]] = defaultdict(list)
    for item in run.plan.relations:
        if 0 < sum(chunk.id in done for chunk in item.chunks) < len(item.chunks):
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
            _copy_again(run, [enters])
            for item in some:
                _say(run, item, "has changed since the first snapshot was lost")


def settle_unlogged(run: Migration) -> None:
    """A crash of the target empties its unlogged relations, but not our journal of them."""
    portions = run.portions[CONVERT_TABLES]
    if not portions or journal.has_survived(run.control, run.plan.run):
        return
    still = {
        statement.name
        for portion in portions
        if portion.item.id not in run.lines(CONVERT_TABLES)
        for statement in portion.statements
    }
    copied = {line.relation for step in TRANSFERS for line in run.lines(step).values()}
    emptied = [item for item in run.plan.relations if item.target in still]
    _copy_again(run, [item.enters for item in emptied])
    for item in emptied:
        if str(item.relation.name) in copied:
            _say(run, item, "was not logged yet when the target crashed, and is empty")
    journal.insert_survivor(run.control, run.plan.run)


def _copy_again(run: Migration, entered: Sequence[Name]) -> None:
    """No index is there yet: those of a relation wait for all its chunks."""
    together = [item for item in run.plan.relations if item.enters in set(entered)]
    ids = [chunk.id for item in together for chunk in item.chunks]
    with run.control.transaction():
        empty_filled(run.control, [item.target for item in together])
        for step in TRANSFERS:
            journal.delete_lines(run.control, run.plan.run, step, ids)
    run.forget(TRANSFERS, ids)


def _say(run: Migration, item: RelationPlan, why: str) -> None:
    run.emit(Noticed(f"{item.relation.name} {why}: all of it is copied again"))
