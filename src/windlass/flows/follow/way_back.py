"""Makes the way back: a stream from the target to the source, before the cutover needs it."""

from __future__ import annotations

from windlass.engines.postgres.replication import publications, slots
from windlass.engines.postgres.replication.trees import read_leaves
from windlass.flows.follow.context import Following
from windlass.flows.follow.published import logged, published
from windlass.flows.follow.removal import drop_slot, writing
from windlass.journal.following import begin_applied
from windlass.model.following import Direction, stream_name


def make_way_back(run: Following) -> None:
    """Publication and slot on the target, position on the source; in that order, so that whatever
    is killed, a position without a slot is never left.

    Raises:
        WindlassError: a setting or a right of the target is missing.
    """
    hold, name = run.hold, stream_name(run.plan.run, Direction.BACK)
    with writing(hold.target, f"windlass {run.plan.run} back") as target:
        version = target.info.server_version
        if not publications.read(target, name.replace("_", "\\_"), side="target"):
            leaves = read_leaves(target, side="target")
            relations = published(logged(target, run.plan, Direction.BACK), leaves, version)
            publications.create(target, name, relations, side="target", via_root=False)
        drop_slot(target, name, side="target")
        held = slots.create(hold.target, target, f"windlass {run.plan.run} slot", name)
        held.release()
    with writing(hold.source, f"windlass {run.plan.run} back") as source:
        begin_applied(source, run.plan.run, Direction.BACK, held.consistent_point)
