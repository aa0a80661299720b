"""Which rows of the source are compared with which of the target: relations as the two sides have
them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from windlass.engines.postgres.archive import RELATION_KINDS
from windlass.engines.postgres.fingerprint import Pair, pair, root_pair
from windlass.engines.postgres.presence import read_presence
from windlass.flows.sides import Sides
from windlass.model.plan import Plan, Purpose, RelationPlan
from windlass.model.relation import Name

READ_BOTH_SIDES = "read_both_sides"


def filled(plan: Plan) -> set[Name]:
    """Relations that existed and were filled; they keep their definitions on the target."""
    made = {one.name for one in plan.statements if one.kind in RELATION_KINDS}
    return set(plan.targets) - made


def row_pair(run: Sides, item: RelationPlan) -> Pair:
    """The pair in which differing rows of the relation are searched."""
    if item.enters == item.target:
        return pair_among(run, item, partitioned(run))
    return root_pair(item, run.plan.source, run.plan.target)


def pair_among(run: Sides, item: RelationPlan, some: Collection[str]) -> Pair:
    """The pair of a relation; `some` are those that are partitioned on the target alone."""
    found = pair(item, run.plan.source, run.plan.target)
    if str(item.target) not in some:
        return found
    return replace(found, target=replace(found.target, with_partitions=True))


def partitioned(run: Sides) -> Collection[str]:
    """Partitioned relations of the target whose counterpart on the source is not partitioned."""
    if run.purpose is Purpose.COMPARE:
        return noted(run, "partitioned")
    if run.index.partitioned is None:
        run.index.partitioned = _read_partitioned(run)
    return run.index.partitioned


def _read_partitioned(run: Sides) -> Collection[str]:
    kept = filled(run.plan)
    if not kept:
        return ()
    present = read_presence(run.sessions().target(), side="target")
    return {str(name) for name in kept if name in present and present[name].kind == "p"}


def noted(run: Sides, what: str) -> Collection[str]:
    """Relations of the target that `read_both_sides` found to differ from the source's."""
    noted: Sequence[str] = run.result(READ_BOTH_SIDES).get(what, ())
    return noted
