"""Makes the way back: a stream from the target to the source, before the cutover needs it."""

from __future__ import annotations

from typing import Any

from windlass.engines.postgres.replication import publications, slots
from windlass.engines.postgres.replication.server import read_replication_relations
from windlass.engines.postgres.replication.trees import read_leaves
from windlass.engines.postgres.session import Address
from windlass.errors import WindlassError
from windlass.flows.follow.context import Following
from windlass.flows.follow.published import logged, published
from windlass.flows.follow.removal import Session, drop_slot, writing
from windlass.flows.follow.renamed import Renamed, to_detail, with_present_names
from windlass.journal.following import begin_applied
from windlass.model.following import Direction, stream_name
from windlass.model.plan import Plan
from windlass.model.units import several
from windlass.model.wording import word


def make_way_back(run: Following, renamed: Renamed) -> None:
    """Make publication and slot on the target, then the position on the source. In this order a
    kill never leaves a position without a slot.

    Raises:
        WindlassError: a setting, a right or a table of the target is missing.
    """
    hold, name = run.hold, stream_name(run.plan.run, Direction.BACK)
    plan = with_present_names(run.plan, to_detail(renamed))
    with writing(hold.target, f"windlass {run.plan.run} back") as target:
        version = target.info.server_version
        if not publications.read(target, name.replace("_", "\\_"), side="target"):
            leaves = read_leaves(target, side="target")
            followed = logged(target, plan, Direction.BACK)
            _check_whole(hold.source, target, plan)
            relations = published(followed, leaves, version)
            publications.create(target, name, relations, side="target", via_root=False)
        drop_slot(target, name, side="target")
        held = slots.create(hold.target, target, f"windlass {run.plan.run} slot", name)
        held.release()
    with writing(hold.source, f"windlass {run.plan.run} back") as source:
        begin_applied(source, run.plan.run, Direction.BACK, held.consistent_point)


def _check_whole(source: Address, target: Session, plan: Plan) -> None:
    """Check that the target has every table of the source.

    Raises:
        WindlassError: the target lacks a table that the source has. What is written there under
            another name would not come back.
    """
    there = read_replication_relations(target, side="target")
    missing = {int(one.relation.identity): one for one in plan.relations if one.target not in there}
    if not missing:
        return
    with writing(source, f"windlass {plan.run} back") as session:
        found: Any = session.execute(
            "select oid::bigint from pg_class where oid = any (%s::oid[])", ([*missing],)
        ).fetchall()
    if found:
        names = several([str(missing[id].target) for (id,) in found], 5)
        raise WindlassError(
            f"the target has no table {names}, which the source has: what is written to it under"
            " another name would not come back",
            hint=f"give it that name, or go without a way back: {word('no-reverse')}",
            side="target",
        )
